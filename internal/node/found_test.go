package node

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// TestFrames goes through queues with more frames than one look takes, with delayed and
// damaged ones, and moves what it finds meanwhile.
func TestFrames(t *testing.T) {
	const total = 3*maxFrames + 5
	aside := 0
	s := inMemory(t, pebble.Config{})
	n := New(Config{Name: "test", Store: s, Durability: Memory, SetAside: func(store.Queue, uint64, []byte) error {
		aside++
		return nil
	}})
	for _, at := range []store.Queue{store.Inbox("work"), store.Waiting("T:A")} {
		for i := range total {
			f := store.Frame{Data: packet.AppendFrame(nil, packet.FrameHeader{}, somePackets(2, "T:A")), Packets: 2, Rank: store.Descendant}
			switch {
			case i%10 == 3:
				f.After = time.Hour
			case i%10 == 7:
				f.Data[len(f.Data)/2]++
			}
			if err := s.Commit(t.Context(), &store.Tx{Append: []store.Append{{To: at, Frame: f}}}); err != nil {
				t.Fatal(err)
			}
		}
		const damaged, delayed = total / 10, total / 10
		var last uint64
		numbered, later := 0, 0
		look := n.frames
		if _, inbox := at.Seed(); !inbox {
			for range n.frames(t.Context(), at, 0) {
			}
			if aside > 0 {
				t.Errorf("%d frames were set aside by who only looked", aside)
			}
			look = n.movable
		}
		for f, err := range look(t.Context(), at, 0) {
			if err != nil || len(f.packets) != 2 || f.at != at {
				t.Fatalf("%s: %d packets of %s, %v", at, len(f.packets), f.at, err)
			}
			if f.Number == 0 {
				later++
				continue
			}
			if later > 0 || f.Number <= last {
				t.Fatalf("%s: frame %d after %d, and after %d delayed ones", at, f.Number, last, later)
			}
			last = f.Number
			numbered++
			if err := s.Commit(t.Context(), &store.Tx{Remove: []store.Ref{{At: at, Number: f.Number}}}); err != nil {
				t.Fatal(err)
			}
		}
		if numbered != total-damaged-delayed || later != delayed {
			t.Errorf("%s: %d frames and %d delayed ones; expected %d and %d", at, numbered, later, total-damaged-delayed, delayed)
		}
		left := 0
		for range n.frames(t.Context(), at, last+1) {
			left++
			break
		}
		if left != 1 {
			t.Errorf("%s: what is delayed is not found from a later number on", at)
		}
		if _, inbox := at.Seed(); inbox && aside > 0 || !inbox && aside != damaged {
			t.Errorf("%s: %d damaged frames were set aside", at, aside)
		}
	}
	for _, err := range n.frames(t.Context(), store.Queue(fmt.Sprint("no", "thing")), 0) {
		t.Errorf("a queue that is none gives something, %v", err)
	}
}

// TestRestsIsBoundedByWhatItPassesOver, not by what it finds: all that waits in a state can be
// listed, however much that is.
func TestRestsIsBoundedByWhatItPassesOver(t *testing.T) {
	const total = maxLooked + 10
	s := inMemory(t, pebble.Config{})
	n := New(Config{Name: "test", Store: s, Durability: Memory})
	for _, at := range []store.Queue{store.Waiting("T:A"), store.Inbox("work")} {
		tx := &store.Tx{}
		data := packet.AppendFrame(nil, packet.FrameHeader{}, somePackets(1, "T:A"))
		if _, inbox := at.Seed(); inbox {
			data = packet.AppendFrame(nil, packet.FrameHeader{}, somePackets(1, "T:OTHER"))
		}
		for i := range total {
			tx.Append = append(tx.Append, store.Append{To: at, Frame: store.Frame{Data: data, Packets: 1, Rank: store.Descendant}})
			if len(tx.Append) == 1000 || i == total-1 {
				if err := s.Commit(t.Context(), tx); err != nil {
					t.Fatal(err)
				}
				tx = &store.Tx{}
			}
		}
	}
	for _, waiting := range []bool{true, false} {
		found := 0
		err := n.Rests(t.Context(), "T:A", waiting, func(Rested) bool { found++; return true })
		if found != total || errors.Is(err, ErrTooMany) == waiting || waiting && err != nil {
			t.Errorf("%d of %d packets are found, %v; what lies in inboxes is too much", found, total, err)
		}
	}
}
