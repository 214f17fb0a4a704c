package seed

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/recap/pumpkin/internal/strict"
	"github.com/recap/pumpkin/packet"
)

// The lines around a classic header. The first may have two # as well.
const (
	classicStart = "###START-CONF"
	classicEnd   = "##END-CONF"
)

// classicWorkers is how many workers a seed of the classic shape has that does not say: it was one
// object, which may count and collect.
const classicWorkers = 1

// hasClassicClass tells whether a class of the classic shape begins on one of the lines.
func hasClassicClass(lines []line) bool {
	named := false // the base alone was imported
	for _, l := range lines {
		switch words := strings.Fields(l.text); {
		case len(words) >= 4 && words[0] == "from" && words[2] == "import" && strings.HasSuffix(words[1], "PmkSeed"):
			named = named || strings.Contains(l.text, "Seed")
		case strings.HasPrefix(l.text, "class "):
			_, bases, _ := strings.Cut(l.text, "(")
			bases, _, _ = strings.Cut(bases, ")")
			for base := range strings.SplitSeq(bases, ",") {
				base = strings.TrimSpace(base)
				if base == "PmkSeed.Seed" || strings.HasSuffix(base, ".PmkSeed.Seed") || named && base == "Seed" {
					return true
				}
			}
		}
	}
	return false
}

// A conf is the text of a classic header.
type conf struct {
	start int    // the line of ###START-CONF
	json  string // what stands between the lines, without ##, line for line
}

// findClassic finds the classic header in a file.
func findClassic(file string, lines []line) (c conf, found bool, err error) {
	var body []string
	for _, l := range lines {
		text := strings.TrimSpace(l.text)
		switch {
		case found && strings.HasPrefix(text, classicEnd):
			c.json = strings.Join(body, "\n")
			return c, true, nil
		case found:
			body = append(body, strings.ReplaceAll(l.text, "##", ""))
		case strings.HasPrefix(text, classicStart), strings.HasPrefix(text, classicStart[1:]):
			c.start, found = l.no, true
		case strings.HasPrefix(text, "#") && strings.TrimLeft(text, "# ") == classicStart[3:]:
			return c, false, &Error{file, l.no, fmt.Sprintf("found %q; the classic header begins with %q", text, classicStart)}
		}
	}
	if found {
		return c, false, &Error{file, c.start, fmt.Sprintf("the classic header that begins here has no %q line", classicEnd)}
	}
	return c, false, nil
}

// fromClassic fills in what a classic header says.
//
// The header is one JSON object. object_name, parameters and return have to be
// there; auto-load, remoting, group and workers (how many run on a node at a
// time; 1 without it, of a class of one object) may be. object_poi, enabled and
// non-local mean nothing any more. A field unknown to all Pumpkins is passed
// over, as the old one did, unless it looks like a known one misspelt.
//
// parameters and return are lists of objects whose type and state make states;
// a state A|B means any of A and B, A&B all of them.
//
//   - Several parameters of the same states are several arguments in one
//     packet, its data joined by |,|.
//   - Several parameters of different states are a join: the seed wants one of
//     each. (Old Pumpkin routed by the last parameter alone.)
//   - Several returns are alternatives, and so is A&B in a return: a seed may
//     give any of them, and all of them one after the other.
func (m *Manifest) fromClassic(file string, c conf) error {
	// A line within the JSON, counted from 1, is c.start further down.
	err := m.readClassic(c.json)
	if err == nil {
		m.Classic, m.Line, m.Retries = true, c.start, m.Contract.DefaultRetries()
		return nil
	}
	var at *strict.Error
	if errors.As(err, &at) {
		return &Error{file, c.start + at.Line, at.Msg}
	}
	return &Error{file, c.start, err.Error()}
}

func (m *Manifest) readClassic(text string) error {
	top, err := strict.Parse([]byte(text))
	if err != nil {
		return err
	}
	o, err := top.Loose("object_name", "object_poi", "auto-load", "remoting", "group",
		"parameters", "return", "enabled", "non-local", "workers")
	if err != nil {
		return err
	}
	name, err := o.MustText("object_name")
	if err != nil {
		return err
	}
	if err := packet.CheckName("seed's name", name); err != nil {
		v, _ := o.Get("object_name")
		return v.Errorf("%v", err)
	}
	m.Name = Name(name)
	if m.Group, err = o.Text("group"); err != nil {
		return err
	}
	if v, ok := o.Get("group"); ok && m.Group != "" {
		if err := packet.CheckName("group", m.Group); err != nil {
			return v.Errorf("%v", err)
		}
	}
	if v, ok := o.Get("auto-load"); ok {
		load, err := v.LooseBool()
		if err != nil {
			return err
		}
		m.OnRequest = !load
	}
	if v, ok := o.Get("remoting"); ok {
		if m.Spread, err = v.LooseBool(); err != nil {
			return err
		}
	}
	m.Workers = classicWorkers
	if v, ok := o.Get("workers"); ok {
		workers, err := v.Int(1, MaxWorkers)
		if err != nil {
			return err
		}
		m.Workers = int(workers)
	}
	return m.readClassicContract(o)
}

// readClassicContract reads parameters and return.
func (m *Manifest) readClassicContract(o strict.Object) error {
	parameters, err := classicStates(o, "parameters")
	if err != nil {
		return err
	}
	returns, err := classicStates(o, "return")
	if err != nil {
		return err
	}
	c := &m.Contract
	for _, p := range parameters {
		switch {
		case c.In == nil:
			c.In, c.Join = p.states, p.all
		case slices.Equal(c.In, p.states) && c.Join == p.all:
			// One more argument of the same packet.
		case !joinable(len(c.In), c.Join) || !joinable(len(p.states), p.all):
			return p.state.Errorf("one of several parameters has | in its state; expected one state for each, or the same for all")
		default:
			c.Join = true
			c.In = appendNew(c.In, p.states)
		}
	}
	for _, r := range returns {
		c.Out = appendNew(c.Out, r.states)
	}
	if err := c.check(); err != nil {
		parameters, _ := o.Get("parameters")
		return parameters.Errorf("the contract %v", err)
	}
	return nil
}

// joinable tells whether n states can be part of a join.
func joinable(n int, all bool) bool { return n == 1 || all }

func appendNew(states, more []packet.State) []packet.State {
	for _, s := range more {
		if !slices.Contains(states, s) {
			states = append(states, s)
		}
	}
	return states
}

// A place is the states of one parameter or return.
type place struct {
	states []packet.State
	all    bool         // & stands between them
	state  strict.Value // where they stand
}

// classicStates reads the list parameters or return.
func classicStates(o strict.Object, name string) ([]place, error) {
	v, err := o.Must(name)
	if err != nil {
		return nil, err
	}
	list, err := v.List()
	if err != nil {
		return nil, err
	}
	var places []place
	for _, item := range list {
		p, err := classicPlace(item)
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	return places, nil
}

// classicPlace reads one parameter or return.
func classicPlace(item strict.Value) (place, error) {
	o, err := item.Loose("name", "description", "required", "type", "format", "state")
	if err != nil {
		return place{}, err
	}
	if v, ok := o.Get("required"); ok {
		if _, err := v.LooseBool(); err != nil {
			return place{}, err
		}
	}
	for _, text := range []string{"name", "description", "format"} {
		if _, err := o.Text(text); err != nil {
			return place{}, err
		}
	}
	typ, err := o.MustText("type")
	if err != nil {
		return place{}, err
	}
	names, err := o.MustText("state")
	if err != nil {
		return place{}, err
	}
	p := place{}
	p.state, _ = o.Get("state")
	side := strings.NewReplacer("|", "|"+typ+":", "&", "&"+typ+":").Replace(typ + ":" + names)
	side = strings.ReplaceAll(side, ": ", ":")
	if p.states, p.all, err = parseStates(side); err != nil {
		return place{}, p.state.Errorf("%v", err)
	}
	return p, nil
}
