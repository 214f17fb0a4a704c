package adopt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// get is a record of the home's store.
func (h *home) get(table store.Table, key string) string {
	h.t.Helper()
	value, _, err := h.store.Get(h.t.Context(), store.Key{In: table, Key: key})
	if err != nil {
		h.t.Fatal(err)
	}
	return string(value)
}

func record(table store.Table, key, value string) store.Record {
	return store.Record{Key: store.Key{In: table, Key: key}, Value: []byte(value)}
}

// TestRecords moves the records that are of concern beyond the folder. What the own
// store has already stays.
func TestRecords(t *testing.T) {
	data := t.TempDir()
	h := open(t, dir(data, 2), 0)
	tx := &store.Tx{Put: []store.Record{record("once", "inject", "theirs"), record("once", "both", "theirs"), record("other", "key", "theirs")}}
	for i := range groupRecords + 10 {
		tx.Put = append(tx.Put, record("seen", fmt.Sprintf("%06d", i), "theirs"))
	}
	h.commit(tx)
	h.close()
	own := open(t, dir(data, 1), 0)
	own.commit(&store.Tx{Put: []store.Record{record("once", "both", "own")}})
	if own.run(t.Context(), nil) {
		t.Error("damage is reported")
	}
	for key, want := range map[[2]string]string{
		{"once", "inject"}: "theirs", {"once", "both"}: "own", {"other", "key"}: "",
		{"seen", "000000"}: "theirs", {"seen", fmt.Sprintf("%06d", groupRecords+9)}: "theirs",
	} {
		if got := own.get(store.Table(key[0]), key[1]); got != want {
			t.Errorf("record %s of %s: %q; expected %q", key[1], key[0], got, want)
		}
	}
}

// TestDelays: a delayed frame waits as long as it would have where it was.
func TestDelays(t *testing.T) {
	data := t.TempDir()
	h := open(t, dir(data, 2), 0)
	before := time.Now()
	for i, after := range []time.Duration{time.Hour, 24 * time.Hour} {
		h.commit(&store.Tx{Append: []store.Append{{To: "in.greet", Frame: store.Frame{Data: frame(numbered(i)), Packets: 1, After: after}}}})
	}
	after := time.Now()
	h.close()
	own := open(t, dir(data, 1), 0)
	own.run(t.Context(), nil)
	var due []time.Time
	if err := own.store.Look(t.Context(), "in.greet", 0, func(f store.Stored) bool {
		due = append(due, f.NotBefore)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if len(due) != 2 {
		t.Fatalf("%d frames came over; expected 2", len(due))
	}
	for i, want := range []time.Duration{time.Hour, 24 * time.Hour} {
		// The clocks of two stores differ by what passes between two lines.
		if due[i].Before(before.Add(want-time.Second)) || due[i].After(after.Add(want+time.Second)) {
			t.Errorf("frame %d is due at %v; expected %v after %v", i, due[i], want, before)
		}
	}
}

// TestProgress: packets of a frame that are done do not come again.
func TestProgress(t *testing.T) {
	data := t.TempDir()
	h := open(t, dir(data, 2), 0)
	large := numbered(3)
	b, err := h.blobs.Put(t.Context(), bytes.NewReader(make([]byte, 400_000)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	large.Data, large.Blob = "", &b
	ps := []packet.Packet{numbered(0), numbered(1), numbered(2), large}
	h.commit(&store.Tx{Append: []store.Append{
		{To: "in.greet", Frame: store.Frame{Data: frame(ps...), Packets: 4, Blobs: []packet.Sum{b.Sum}}},
		{To: "in.greet", Frame: store.Frame{Data: frame(numbered(4)), Packets: 1}},
		{To: "in.greet", Frame: store.Frame{Data: frame(numbered(5)), Packets: 1}},
	}})
	var numbers []uint64
	if err := h.store.Look(t.Context(), "in.greet", 0, func(f store.Stored) bool {
		numbers = append(numbers, f.Number)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	progress := func(number uint64, part uint32, done byte) store.Record {
		key := append([]byte("in.greet"), 0)
		key = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(key, number), part)
		return record("progress", string(key), string(append([]byte{done}, make([]byte, store.MaxPackets/8-1)...)))
	}
	h.commit(&store.Tx{Put: []store.Record{progress(numbers[0], 0, 1), progress(numbers[0], 1, 8), progress(numbers[1], 0, 1)}})
	h.close()
	own := open(t, dir(data, 1), 0)
	own.run(t.Context(), nil)
	if got := own.counts("in.greet"); len(got) != 3 || got["1"] != 1 || got["2"] != 1 || got["5"] != 1 {
		t.Errorf("in the inbox are %v", got)
	}
	if counts, err := own.store.Queues(t.Context()); err != nil || len(counts) != 1 || counts[0].Packets != 3 {
		t.Errorf("%v, %v", counts, err)
	}
	if used := own.blobs.Used(); used != 0 {
		t.Errorf("%d bytes of large data came over, of a packet that is done", used)
	}
}
