package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// A counting store counts the transactions that have both frames and records of the table
// of a test, and those that have records of it alone.
type counting struct {
	store.Store
	both, alone atomic.Int64
}

const beside store.Table = "beside"

func (c *counting) Commit(ctx context.Context, tx *store.Tx) error {
	for _, r := range tx.Put {
		if r.In == beside && len(tx.Append) > 0 {
			c.both.Add(1)
		} else if r.In == beside {
			c.alone.Add(1)
		}
	}
	return c.Store.Commit(ctx, tx)
}

// TestRecordsGoWithTheirPacket: in its transaction, where there is one, and also where the
// packet was taken before.
func TestRecordsGoWithTheirPacket(t *testing.T) {
	for _, d := range []Durability{Disk, Memory, None} {
		t.Run(d.String(), func(t *testing.T) {
			s := &counting{Store: inMemory(t, pebble.Config{})}
			used := store.Store(s)
			if d == Disk {
				used = sharing{s} // where ids are remembered elsewhere
			}
			w := newWorld(t)
			w.Node = New(Config{Name: "test", Store: used, Durability: d, Blobs: blob.Open(blob.Config{Dir: t.TempDir()}), Kinds: w.cfg.Kinds})
			w.start()
			record := func(value string) store.Record {
				return store.Record{Key: store.Key{In: beside, Key: "key"}, Value: []byte(value)}
			}
			want := func(value string, both, alone int64) {
				t.Helper()
				got, _, err := s.Get(t.Context(), record("").Key)
				if err != nil || string(got) != value {
					t.Errorf("the record is %q, %v; expected %q", got, err, value)
				}
				if d == None {
					both, alone = 0, both+alone
				}
				if s.both.Load() != both || s.alone.Load() != alone {
					t.Errorf("%d with a packet and %d alone; expected %d and %d", s.both.Load(), s.alone.Load(), both, alone)
				}
			}
			p := packet.Packet{ID: packet.HashID("one"), State: "A:A", Data: "one"}
			in := w.Intake()
			if err := errors.Join(in.Put(t.Context(), p, record("one")), in.Flush(t.Context())); err != nil {
				t.Fatal(err)
			}
			want("one", 1, 0)
			if err := errors.Join(in.Put(t.Context(), p, record("again")), in.Flush(t.Context())); err != nil {
				t.Fatal(err)
			}
			want("again", 1, 1)
			text := large("two")
			p = packet.Packet{ID: packet.HashID("two"), State: "A:A"}
			if err := w.InjectData(t.Context(), p, strings.NewReader(text), int64(len(text)), record("two")); err != nil {
				t.Fatal(err)
			}
			want("two", 2, 1)
		})
	}
}

// TestARecordIsWithdrawnWithItsPacket: who stopped waiting has neither sent nor recorded.
func TestARecordIsWithdrawnWithItsPacket(t *testing.T) {
	rec := newRefusing(t)
	w, _ := newLoggedWorld(t, rec.recorder, Memory)
	w.start()
	rec.shut.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	in, key := w.Intake(), store.Key{In: beside, Key: "key"}
	if err := in.Put(ctx, packet.Packet{ID: packet.HashID("one"), State: "A:A", Data: "one"}, store.Record{Key: key}); err != nil {
		t.Fatal(err)
	}
	rec.awaitRefusal(t)
	stop()
	if err := in.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	rec.shut.Store(false)
	w.send("two", "two")
	if _, ok, err := rec.Get(t.Context(), key); ok || err != nil {
		t.Errorf("the record is there: %v, %v", ok, err)
	}
	w.wantWaiting("two")
}
