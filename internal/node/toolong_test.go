package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// hops makes a history of seeds that took that many bytes each.
func hops(count, bytes int) (trail *packet.Hop) {
	for i := range count {
		trail = &packet.Hop{Prev: trail, Seed: "s", Node: "n", State: "A:A", Data: strings.Repeat("x", bytes), Depth: i + 1}
	}
	return trail
}

// TestWhatCannotBeStoredIsRefused gives a node packets that no frame can hold,
// whatever their data, and ones at the limits of what it can.
func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	full := packet.Attributes{}
	for i := range packet.MaxAttributes {
		full[fmt.Sprintf("%s%02d", strings.Repeat("a", packet.MaxAttributeName-2), i)] = strings.Repeat("v", packet.MaxAttributeBytes/packet.MaxAttributes-packet.MaxAttributeName)
	}
	over := packet.Attributes{"a": strings.Repeat("v", packet.MaxAttributeBytes+1)}
	long := strings.Repeat("n", packet.MaxName)
	for _, d := range []Durability{None, Memory} {
		w, _ := newLoggedWorld(t, inMemory(t, pebble.Config{}), d)
		w.start()
		for name, p := range map[string]packet.Packet{
			"a node's name":      {Trail: &packet.Hop{Node: strings.Repeat("n", 1200<<10), Depth: 1}},
			"thousands of hops":  {Trail: hops(20_000, 0)},
			"a seed's name":      {Wish: &packet.Wish{Stop: strings.Repeat("n", 1<<20)}},
			"what a seed raised": {Fault: &packet.Fault{Error: strings.Repeat("n", 1<<20)}},
		} {
			p.State, p.Data = "A:A", strings.Repeat("x", 100)
			if err := w.Inject(t.Context(), p); !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), "at most") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.Inject(t.Context(), packet.Packet{State: "A:A", Extra: &packet.Extra{Attributes: over}}); err == nil {
			t.Error("attributes beyond their limit are taken")
		}
		w.wantWaiting()
		p := packet.Packet{State: packet.State(long + ":" + long), Data: strings.Repeat("x", store.MaxInline), Trail: hops(1000, 300),
			Wish: &packet.Wish{Stop: long}, Extra: &packet.Extra{Attributes: full, Path: packet.Path(strings.Repeat("\x7f", packet.MaxPath)), ShipName: strings.Repeat("n", packet.MaxShipName)}}
		if err := w.Inject(t.Context(), p); err != nil {
			t.Errorf("at the limits: %v", err)
		}
		if st := w.Status(t.Context()); len(st.Waiting) != 1 || st.Waiting[0].Packets != 1 {
			t.Errorf("%+v", st.Waiting)
		}
	}
}

// TestAnOutputThatCannotBeStored has a seed whose outputs have more history than a
// frame holds: its run fails, and the dead letter is stored, with its newest hops.
func TestAnOutputThatCannotBeStored(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	w, book := newLoggedWorld(t, s, Memory)
	m := w.seed("ab", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error { return emit("", in.Data) })
	m.Retries = 0
	w.host(m)
	w.start()
	// As if it had come from a store that holds larger ones: just below a frame's limit.
	p := packet.Packet{ID: packet.HashID("a"), Ship: packet.Ship{Root: packet.HashID("a"), Node: "test"}, State: "A:A", Trail: hops(500, 2000)}
	p.Data = strings.Repeat("d", store.MaxFrame-maxFrameHead-storedSize(&p)-50)
	if size := storedSize(&p); size > store.MaxFrame-maxFrameHead {
		t.Fatal(size)
	}
	appendFrame(t, s, store.Inbox("ab"), packet.FrameHeader{}, p)
	w.drain()
	var got []packet.Packet
	if err := w.Show(t.Context(), "Error:ab", func(p packet.Packet) bool { got = append(got, p); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].ID != p.ID || got[0].Data != p.Data || got[0].Hops() != cutHops || got[0].Trail.Seed != "ab" {
		t.Fatalf("%d dead letters", len(got))
	}
	if f := got[0].Fault; !strings.Contains(f.Error, "too large for a store, apart from its data") || !strings.Contains(f.Error, "of the 501 seeds that it came through only the last 100 are named") {
		t.Errorf("the dead letter says %q", f.Error)
	}
	if book.Count("too large for the store: only the last 100 are kept") == 0 {
		t.Error("the log does not say that a history was cut")
	}
}
