package trace

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/packet"
)

// shortID is how many digits of an id the drawing shows.
const shortID = 8

// Text draws the tree, a line for each packet that came in and each run, and
// with data what went in where that was kept. In ASCII it has no box-drawing
// characters.
func Text(w io.Writer, t Trace, data, ascii bool) error {
	d := drawing{asked: t.Packet, data: data, fork: "├─ ", last: "└─ ", pass: "│  "}
	if ascii {
		d.fork, d.last, d.pass = "|- ", "`- ", "|  "
	}
	nodes, runs := map[string]bool{}, 0
	each(t.Roots, func(s *Step) {
		d.begin(s.at())
		if s.Born != nil {
			nodes[s.Born.Node] = true
		}
		for _, r := range s.Runs {
			nodes[r.Node], runs = true, runs+1
			d.begin(r.At)
			d.end(r.At.Add(r.Took))
		}
		for _, r := range s.Rests {
			nodes[r.Node] = true
		}
	})
	for _, s := range t.Roots {
		d.root(s)
	}
	if _, err := fmt.Fprintf(w, "ship %s: %s on %s, from %s, %s\n\n", t.Ship, english.Plural(runs, "run", ""), english.Plural(len(nodes), "node", ""),
		d.from.Local().Format("2006-01-02 15:04:05.000"), span(d.to.Sub(d.from))); err != nil {
		return err
	}
	if err := d.write(w); err != nil {
		return err
	}
	for _, note := range t.Notes {
		if _, err := fmt.Fprintln(w, note); err != nil {
			return err
		}
	}
	return nil
}

// each visits every step.
func each(steps []*Step, visit func(*Step)) {
	for _, s := range steps {
		visit(s)
		for _, r := range s.Runs {
			each(r.Steps, visit)
		}
	}
}

// A drawing gathers lines, and is written once the width of its columns is
// known.
type drawing struct {
	asked            packet.ID
	data             bool
	fork, last, pass string
	from, to         time.Time
	rows             []row
}

// A row is one line: the tree, four columns, or a text of its own.
type row struct {
	tree, node, at, took, result string
	below                        bool // tree is a line about the row before
}

func (d *drawing) begin(at time.Time) {
	if !at.IsZero() && (d.from.IsZero() || at.Before(d.from)) {
		d.from = at
	}
	d.end(at)
}

func (d *drawing) end(at time.Time) {
	if at.After(d.to) {
		d.to = at
	}
}

// A branch is something that hangs below a packet or a run.
type branch struct {
	row  row
	data []string // lines about it
	sub  []branch
}

func (d *drawing) root(s *Step) {
	head := row{tree: d.name(string(s.State), s.Packet), result: "which run gave it is not known"}
	if s.Born != nil {
		head.node, head.at, head.result = s.Born.Node, d.since(s.Born.At), "came in"
		if s.Born.File != "" {
			head.result = fmt.Sprintf("came in as the file %q", s.Born.File)
		}
		if s.Born.Seed != "" {
			head.result = "from the injector " + s.Born.Seed
		}
	} else if n := len(s.Trail); n > 0 {
		before := make([]string, n)
		for i, hop := range s.Trail {
			before[i] = hop.Seed + "@" + hop.Node
		}
		head.result = "came through " + strings.Join(before, ", ")
	}
	d.rows = append(d.rows, head)
	d.hang(d.fates(s), "")
}

// hang draws the branches below a line that begins with margin.
func (d *drawing) hang(branches []branch, margin string) {
	for i, b := range branches {
		joint, below := d.fork, d.pass
		if i == len(branches)-1 {
			joint, below = d.last, "   "
		}
		b.row.tree = margin + joint + b.row.tree
		d.rows = append(d.rows, b.row)
		for _, line := range b.data {
			stem := "   "
			if len(b.sub) > 0 {
				stem = d.pass
			}
			d.rows = append(d.rows, row{tree: margin + below + stem + line, below: true})
		}
		d.hang(b.sub, margin+below)
	}
}

// fates are what became of a packet.
func (d *drawing) fates(s *Step) []branch {
	var out []branch
	for _, r := range s.Runs {
		b := branch{row: row{tree: d.name(r.Seed, r.Packet), node: r.Node, at: d.since(r.At), took: span(r.Took), result: result(r)}}
		if d.data {
			b.data = dataLines(&r.Run)
		}
		for _, child := range r.Steps {
			b.sub = append(b.sub, d.child(child)...)
		}
		if r.More > 0 {
			b.sub = append(b.sub, branch{row: row{tree: fmt.Sprintf("... and %s more", english.Plural(r.More, "packet", ""))}})
		}
		out = append(out, b)
	}
	for _, r := range s.Rests {
		b := branch{row: row{tree: d.name(string(r.State), r.Packet), node: r.Node, at: d.since(r.Since), result: resting(r)}}
		if d.data && r.Data != nil {
			b.data = []string{"data: " + r.Data.String()}
		}
		out = append(out, b)
	}
	return out
}

// child is a packet that a run gave: the runs that it had stand right below.
func (d *drawing) child(s *Step) []branch {
	if s.Unknown {
		return []branch{{row: row{tree: d.name(string(s.State), s.Packet), result: "in progress, or not kept"}}}
	}
	return d.fates(s)
}

// name is a seed or a state, with the id of the packet; the one that was asked
// for has a mark.
func (d *drawing) name(name string, id packet.ID) string {
	name += "  " + id.String()[:shortID]
	if id == d.asked {
		name += " <-"
	}
	return name
}

func (d *drawing) since(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return "+" + span(at.Sub(d.from))
}

func (d *drawing) write(w io.Writer) error {
	var tree, node, at, took int
	for _, r := range d.rows {
		if !r.below {
			tree = max(tree, utf8.RuneCountInString(r.tree))
		}
		node, at, took = max(node, utf8.RuneCountInString(r.node)), max(at, utf8.RuneCountInString(r.at)), max(took, utf8.RuneCountInString(r.took))
	}
	for _, r := range d.rows {
		line := r.tree
		if !r.below {
			line = fmt.Sprintf("%-*s  %-*s  %*s  %*s  %s", tree, r.tree, node, r.node, at, r.at, took, r.took, r.result)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// result says how a run came out.
func result(r *Taken) string {
	switch r.Result {
	case Failed, GaveUp:
		return fmt.Sprintf("%s: %s (attempt %d)", r.Result, firstLine(r.Error), r.Attempt)
	case Gave:
		if r.Gave > 1 {
			return fmt.Sprintf("%s -> %s", r.State, english.Plural(r.Gave, "packet", ""))
		}
		if len(r.Given) == 1 {
			return fmt.Sprintf("%s -> %s", r.State, r.Given[0])
		}
	case Stopped:
		return fmt.Sprintf("%s, stopped here as asked", r.State)
	}
	return fmt.Sprintf("%s, %s", r.State, r.Result)
}

// resting says where and why a packet lies in a store.
func resting(r Rest) string {
	text := "waits"
	switch {
	case r.Seed != "" && r.Why != "":
		text = "waits for " + r.Seed
	case r.Seed != "" && r.Failed > 0 && !r.NotBefore.IsZero():
		text = fmt.Sprintf("waits for attempt %d of %s, not before %s", r.Failed+1, r.Seed, r.NotBefore.Local().Format("15:04:05"))
	case r.Seed != "":
		text = "on its way to " + r.Seed
	}
	if r.Why != "" {
		text += ": " + r.Why
	}
	if r.Error != "" {
		text += ", after " + firstLine(r.Error)
	}
	return text
}

func firstLine(text string) string {
	line, rest, _ := strings.Cut(text, "\n")
	if rest != "" {
		line += " ..."
	}
	return line
}

// dataLines are what a tracked packet's run was given, and what it gave that
// went nowhere.
func dataLines(r *Run) (lines []string) {
	if r.Data != nil {
		lines = append(lines, "in: "+r.Data.String())
	}
	for i := range r.Out {
		lines = append(lines, "out: "+r.Out[i].String())
	}
	return lines
}

// shownData is how many letters of data stand in a line.
const shownData = 200

// String is the begin of the data on one line, and how much there is.
func (d *Data) String() string {
	if d.SHA256 != "" {
		return fmt.Sprintf("(%d bytes, not kept here, SHA-256 %s)", d.Size, d.SHA256)
	}
	if !utf8.ValidString(d.Head()) {
		return fmt.Sprintf("(%d bytes that are no text)", d.Size)
	}
	letters := []rune(d.Head())
	if len(letters) <= shownData && d.Whole() {
		return strconv.Quote(d.Head())
	}
	return fmt.Sprintf("%q... (%d bytes, %d of them kept)", string(letters[:min(len(letters), shownData)]), d.Size, len(d.Head()))
}

// span is how long something took, for people.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(-d)
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
