package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// The bounds of what is shown of packets.
const (
	defaultShown = 100
	maxShown     = 1000
	someBytes    = 4 << 10 // of a packet's data, unless another number is asked for
	maxBytes     = 1 << 20
	maxHops      = 100
	shownBytes   = 16 << 20 // of all packets of an answer that is one value
)

// readAsk reads from the query how much is asked for, of packets that may be so many.
func readAsk(r *http.Request, most int) (ask api.Ask, err error) {
	if ask.Limit, err = number(r, "limit", defaultShown, 1, most); err == nil {
		ask.Bytes, err = number(r, "bytes", someBytes, 0, maxBytes)
	}
	if err == nil {
		ask.Waiting, err = truth(r, "waiting")
	}
	for _, text := range r.URL.Query()["attr"] {
		name, value, ok := strings.Cut(text, "=")
		if !ok && err == nil {
			err = fmt.Errorf("attr=%s: expected NAME=VALUE", text)
		}
		ask.Attributes = ask.Attributes.With(packet.Attributes{name: value})
	}
	if err == nil {
		err = ask.Attributes.Check()
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

// truth is true or false, as the query says; false where it says nothing.
func truth(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	is, err := strconv.ParseBool(text)
	if err != nil {
		err = fmt.Errorf("%s=%s: expected true or false", name, text)
	}
	return is, err
}

// A lister gives packets of this node to visit, until that returns an error, which it returns.
type lister func(ctx context.Context, bytes int, visit func(api.Packet) error) error

// inState lists packets of a state, as they are asked for.
func inState(n *node.Node, state packet.State, ask api.Ask) lister {
	return listed(n, func(ctx context.Context, visit func(node.Rested) bool) error {
		return n.RestsWith(ctx, state, ask.Attributes, ask.Waiting, visit)
	})
}

// withID lists the copies of a packet.
func withID(n *node.Node, id packet.ID) lister {
	return listed(n, func(ctx context.Context, visit func(node.Rested) bool) error { return n.Find(ctx, id, visit) })
}

// listed lists what each finds.
func listed(n *node.Node, each func(context.Context, func(node.Rested) bool) error) lister {
	return func(ctx context.Context, bytes int, visit func(api.Packet) error) error {
		var failed error
		err := each(ctx, func(r node.Rested) bool {
			p, err := packetOf(n, &r, bytes)
			failed = err
			if err == nil {
				failed = visit(p)
			}
			return failed == nil
		})
		return cmp.Or(failed, err)
	}
}

var errEnough = errors.New("as many as were asked for")

// collect is what a lister gives, as far as an answer may be.
func collect(ctx context.Context, list lister, ask api.Ask) (api.Packets, error) {
	out := api.Packets{Packets: []api.Packet{}}
	room := shownBytes
	err := list(ctx, ask.Bytes, func(p api.Packet) error {
		if len(out.Packets) == ask.Limit || room <= 0 {
			return errEnough
		}
		room -= shownSize(&p)
		out.Packets = append(out.Packets, p)
		return nil
	})
	if errors.Is(err, errEnough) || errors.Is(err, node.ErrTooMany) {
		out.More, err = true, nil
	}
	return out, err
}

// packetOf is one packet with at most that many bytes of its data.
func packetOf(n *node.Node, r *node.Rested, bytes int) (api.Packet, error) {
	p := api.Packet{
		ID: r.ID, Ship: r.Ship, State: r.State, Node: n.Name(), Since: r.Since, NotBefore: r.NotBefore,
		Attempt: int(r.Attempt), DeadLetters: int(r.DeadLetters), Round: int(r.Round()), Hops: []api.Hop{}, HopCount: r.Hops(),
	}
	if name, inbox := r.Place.Seed(); inbox {
		p.Seed = name
	}
	for hop := r.Trail; hop != nil && len(p.Hops) < maxHops; hop = hop.Prev {
		h := api.Hop{Seed: hop.Seed, Version: hop.Version, Node: hop.Node, At: hop.At, State: hop.State}
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
			p.Families = append(p.Families, api.Family(f))
		}
	}
	if f := r.Fault; f != nil {
		p.Fault = &api.Fault{Error: f.Error, Output: f.Output, State: f.State, Attempts: f.Attempts}
	}
	if w := r.Wish; w != nil {
		p.Stop, p.Goal, p.GoalNode, p.Track, p.Traceparent = w.Stop, string(w.Goal), w.GoalNode, w.Track, w.Trace.String()
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

// shownSize is about how many bytes a packet takes in an answer.
func shownSize(p *api.Packet) int {
	size := 1024 + 128*len(p.Hops)
	add := func(d *api.Data) {
		if size += len(d.Bytes); d.Text != nil {
			size += len(*d.Text)
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
func dataOf(head string, size int64) api.Data {
	d := api.Data{Size: size, Cut: int64(len(head)) < size}
	text := head
	if d.Cut { // perhaps within a character
		for i := 0; i < utf8.UTFMax-1 && len(text) > 0 && !utf8.ValidString(text[max(0, len(text)-utf8.UTFMax):]); i++ {
			text = text[:len(text)-1]
		}
	}
	if utf8.ValidString(text) {
		d.Text, d.Kind = &text, "text/plain; charset=utf-8"
		if begin := strings.TrimLeft(text, " \t\r\n"); begin != "" && strings.ContainsRune("{[", rune(begin[0])) && (d.Cut || json.Valid([]byte(text))) {
			d.Kind = jsonType
		}
		return d
	}
	d.Bytes, d.Kind = []byte(head), http.DetectContentType([]byte(head))
	return d
}
