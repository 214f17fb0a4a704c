package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Packets are some that lie in stores.
type Packets struct {
	Packets []Packet `json:"packets"`
	// More says that there may be others.
	More bool `json:"more"`
	// Unanswered names the nodes that did not tell what lies with them.
	Unanswered []string `json:"unanswered,omitempty"`
}

// A Packet is one that lies in a node's store.
type Packet struct {
	ID    packet.ID    `json:"id"`
	Ship  string       `json:"ship"` // NODE:ID
	State packet.State `json:"state"`
	Node  string       `json:"node"` // in whose store it lies
	// Seed is whose inbox it lies in; "" where it waits under its state.
	Seed        seed.Name         `json:"seed,omitempty"`
	Since       time.Time         `json:"since"` // when it was stored there
	NotBefore   time.Time         `json:"not_before,omitzero"`
	Attempt     int               `json:"attempt"`
	DeadLetters int               `json:"dead_letters"`
	Round       int               `json:"round,omitempty"` // how often it was sent on its way again by hand
	ShipName    string            `json:"ship_name,omitempty"`
	Attributes  packet.Attributes `json:"attributes,omitempty"`
	Path        []uint64          `json:"path,omitempty"` // its birth path
	Families    []Family          `json:"families,omitempty"`
	Hops        []Hop             `json:"hops"` // the oldest first; the newest ones, if there are many
	HopCount    int               `json:"hop_count"`
	Fault       *Fault            `json:"fault,omitempty"`
	Stop        string            `json:"stop,omitempty"`
	Goal        string            `json:"goal,omitempty"`
	GoalNode    string            `json:"goal_node,omitempty"` // that waits there for it
	Track       bool              `json:"track,omitempty"`
	Deadline    *time.Time        `json:"deadline,omitempty"`
	Data        Data              `json:"data"`
}

// A Hop is one run of a seed that a packet came through.
type Hop struct {
	Seed    string       `json:"seed"`
	Version string       `json:"version,omitempty"` // of the seed
	Node    string       `json:"node"`
	At      time.Time    `json:"at"`
	State   packet.State `json:"state,omitempty"` // of a tracked packet: what went in
	Data    *Data        `json:"data,omitempty"`
}

// A Family is everything that descends from the packet ID, which was in State.
type Family struct {
	State packet.State `json:"state"`
	ID    packet.ID    `json:"id"`
}

// A Fault says why a packet is in an Error: state.
type Fault struct {
	Error    string       `json:"error"`
	Output   string       `json:"output,omitempty"`
	State    packet.State `json:"state"` // what it was before
	Attempts int          `json:"attempts"`
}

// Data is some data and what it seems to be.
type Data struct {
	Size int64 `json:"size"` // of all of it, in bytes
	// Kind is its media type, as far as its first bytes tell.
	Kind string `json:"kind"`
	// Text is the data where it is UTF-8; else Base64 is. Cut says that it is
	// only the beginning.
	Text   *string `json:"text,omitempty"`
	Base64 *string `json:"base64,omitempty"`
	Cut    bool    `json:"cut,omitempty"`
}

// The bounds of what is shown of packets.
const (
	maxShown   = 1000
	someBytes  = 4 << 10 // of a packet's data, unless another number is asked for
	maxBytes   = 1 << 20
	maxHops    = 100
	shownBytes = 16 << 20 // of all packets of an answer
)

// shownAsked is how much is asked for.
type shownAsked struct{ limit, bytes int }

// readShown reads the query. Without a number of packets it is that.
func readShown(r *http.Request, packets int) (ask shownAsked, err error) {
	if ask.limit, err = number(r, "limit", packets, 1, maxShown); err == nil {
		ask.bytes, err = number(r, "bytes", someBytes, 0, maxBytes)
	}
	return ask, err
}

func number(r *http.Request, name string, without, least, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s=%s: expected a number from %d to %d", name, text, least, most)
	}
	return n, nil
}

// resting gives packets of a state, of this node.
func resting(ctx context.Context, n *node.Node, state packet.State, ask shownAsked) (Packets, error) {
	return gather(n, ask, func(visit func(node.Rested) bool) error { return n.Rests(ctx, state, visit) })
}

// find gives the copies of a packet, of this node.
func find(ctx context.Context, n *node.Node, id packet.ID, ask shownAsked) (Packets, error) {
	return gather(n, ask, func(visit func(node.Rested) bool) error { return n.Find(ctx, id, visit) })
}

// gather shows what each gives.
func gather(n *node.Node, ask shownAsked, each func(func(node.Rested) bool) error) (Packets, error) {
	out := Packets{Packets: []Packet{}}
	var failed error
	room := shownBytes
	err := each(func(r node.Rested) bool {
		if len(out.Packets) == ask.limit || room <= 0 {
			out.More = true
			return false
		}
		var p Packet
		if p, failed = packetOf(n, &r, ask.bytes); failed != nil {
			return false
		}
		room -= p.shown()
		out.Packets = append(out.Packets, p)
		return true
	})
	if errors.Is(err, node.ErrTooMany) {
		out.More, err = true, nil
	}
	return out, errors.Join(err, failed)
}

// packetOf is one packet with at most that many bytes of its data.
func packetOf(n *node.Node, r *node.Rested, bytes int) (Packet, error) {
	p := Packet{
		ID: r.ID, Ship: r.Ship.String(), State: r.State, Node: n.Name(), Since: r.Since, NotBefore: r.NotBefore,
		Attempt: int(r.Attempt), DeadLetters: int(r.DeadLetters), Round: int(r.Round()), Hops: []Hop{}, HopCount: r.Hops(),
	}
	if name, inbox := r.Place.Seed(); inbox {
		p.Seed = name
	}
	for hop := r.Trail; hop != nil && len(p.Hops) < maxHops; hop = hop.Prev {
		h := Hop{Seed: hop.Seed, Version: hop.Version, Node: hop.Node, At: hop.At, State: hop.State}
		if hop.State != "" {
			data := dataOf(hop.Data[:min(len(hop.Data), bytes)], int64(len(hop.Data)))
			h.Data = &data
		}
		p.Hops = append(p.Hops, h)
	}
	slices.Reverse(p.Hops)
	if e := r.Extra; e != nil {
		p.ShipName, p.Attributes, p.Path = e.ShipName, e.Attributes, e.Path.Numbers()
		for _, f := range e.Families {
			p.Families = append(p.Families, Family(f))
		}
	}
	if f := r.Fault; f != nil {
		p.Fault = &Fault{f.Error, f.Output, f.State, f.Attempts}
	}
	if w := r.Wish; w != nil {
		p.Stop, p.Goal, p.GoalNode, p.Track = w.Stop, string(w.Goal), w.GoalNode, w.Track
		if !w.Deadline.IsZero() {
			p.Deadline = &w.Deadline
		}
	}
	file, err := n.OpenData(&r.Packet)
	if err != nil {
		return p, fmt.Errorf("packet %s: %w", r.ID, err)
	}
	defer file.Close() // only read
	head, err := io.ReadAll(io.LimitReader(file, int64(bytes)))
	p.Data = dataOf(string(head), r.DataSize())
	return p, err
}

// shown is about how many bytes it takes.
func (p *Packet) shown() int {
	size := 1024 + 128*len(p.Hops)
	add := func(d *Data) {
		for _, text := range []*string{d.Text, d.Base64} {
			if text != nil {
				size += len(*text)
			}
		}
	}
	add(&p.Data)
	for _, h := range p.Hops {
		if h.Data != nil {
			add(h.Data)
		}
	}
	return size
}

// dataOf says what data is that begins with head and has that size.
func dataOf(head string, size int64) Data {
	d := Data{Size: size, Cut: int64(len(head)) < size}
	text := head
	if d.Cut { // perhaps within a character
		for i := 0; i < utf8.UTFMax-1 && len(text) > 0 && !utf8.ValidString(text[max(0, len(text)-utf8.UTFMax):]); i++ {
			text = text[:len(text)-1]
		}
	}
	if utf8.ValidString(text) {
		d.Text, d.Kind = &text, "text/plain; charset=utf-8"
		if begin := strings.TrimLeft(text, " \t\r\n"); begin != "" && strings.ContainsRune("{[", rune(begin[0])) && (d.Cut || json.Valid([]byte(text))) {
			d.Kind = "application/json"
		}
		return d
	}
	code := base64.StdEncoding.EncodeToString([]byte(head))
	d.Base64, d.Kind = &code, http.DetectContentType([]byte(head))
	return d
}
