package adopt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// What moves at a time: so many frames, of about so many bytes.
const (
	groupFrames = 64
	groupBytes  = 1 << 20
)

// A moving frame is one on its way from store to store.
type moving struct {
	pebble.Found
	data     []byte          // the frame as it is stored here
	packets  []packet.Packet // that are to be done
	header   packet.FrameHeader
	progress []store.Key // of the frame there
}

// frames moves all frames.
func (m *move) frames(ctx context.Context) error {
	var group []moving
	size := 0
	move := func() error {
		err := m.group(ctx, group)
		group, size = nil, 0
		return err
	}
	err := m.from.Frames(ctx, func(found pebble.Found) error {
		f := moving{Found: found, data: found.Data}
		var err error
		if f.header, f.packets, err = packet.ParseFrame(found.Data); err != nil {
			return nil //nolint:nilerr // it was reported when all was looked at
		}
		if err := m.leaveOut(ctx, &f); err != nil {
			return err
		}
		group = append(group, f)
		if size += len(found.Data); len(group) < groupFrames && size < groupBytes {
			return nil
		}
		return move()
	})
	if err != nil {
		return err
	}
	return move()
}

// group moves some frames in one transaction, and removes them where they were. Where
// there is no room for all of them, there may be for some.
func (m *move) group(ctx context.Context, group []moving) error {
	if len(group) == 0 {
		return nil
	}
	err := m.append(ctx, group)
	if errors.Is(err, store.ErrFull) && len(group) > 1 {
		half := len(group) / 2
		if err := m.group(ctx, group[:half]); err != nil {
			return err
		}
		return m.group(ctx, group[half:])
	}
	if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrBroken) {
		err = m.untilStored(ctx, func() error { return m.append(ctx, group) })
	}
	if err != nil {
		return err
	}
	var frames []pebble.Found
	var records []store.Key
	for i := range group {
		f := &group[i]
		if f.Queue.Packets() {
			m.packets += len(f.packets)
		}
		frames, records = append(frames, f.Found), append(records, f.progress...)
	}
	return m.remove(frames, records)
}

// remove takes out of the folder what is in the own store, unless the folder is to
// stay as it is.
func (m *move) remove(frames []pebble.Found, records []store.Key) error {
	if m.damaged > 0 {
		return nil
	}
	return m.from.Remove(frames, records)
}

// append stores frames, with their large data.
func (m *move) append(ctx context.Context, group []moving) (err error) {
	tx := &store.Tx{Durable: true}
	var held []*packet.Packet
	defer func() {
		if err != nil {
			for _, p := range held {
				m.drop(p)
			}
		}
	}()
	for i := range group {
		f := &group[i]
		if len(f.packets) == 0 {
			continue // all of it is done
		}
		a := store.Append{To: f.Queue, Frame: store.Frame{Data: f.data, Packets: len(f.packets), Rank: store.Descendant, After: left(&f.Found)}}
		for j := range f.packets {
			p := &f.packets[j]
			if err := m.blob(ctx, p); err != nil {
				return err
			}
			held = append(held, p)
			if p.Blob != nil && !slices.Contains(a.Blobs, p.Blob.Sum) {
				a.Blobs = append(a.Blobs, p.Blob.Sum)
			}
		}
		tx.Append = append(tx.Append, a)
	}
	if len(tx.Append) == 0 {
		return nil
	}
	return m.Store.Commit(ctx, tx)
}

// left is what is left of a frame's delay. It is never more than the frame was
// delayed by, whatever a clock said when it was stored.
func left(f *pebble.Found) time.Duration {
	if f.Due.IsZero() {
		return 0
	}
	return max(0, min(time.Until(f.Due), f.Delay))
}

// The tables of a node that are of concern here; see internal/node.
const (
	onceTable     store.Table = "once"
	seenTable     store.Table = "seen"
	progressTable store.Table = "progress"
)

// leaveOut takes those packets out of a frame that are done. Which ones they are is
// in the table of progress: its records of the frame begin with its queue, a zero
// byte and its number, and their values with a bit for each packet that is done. What
// descends from the others and is stored already comes again, with the same ids.
func (m *move) leaveOut(ctx context.Context, f *moving) error {
	var done [store.MaxPackets / 8]byte
	prefix := binary.BigEndian.AppendUint64(append([]byte(f.Queue), 0), f.Number)
	err := m.from.Records(ctx, progressTable, string(prefix), func(r store.Record) error {
		f.progress = append(f.progress, r.Key)
		if len(r.Value) < len(done) {
			return fmt.Errorf("the progress of frame %d of %s has %d bytes; expected at least %d", f.Number, f.Queue, len(r.Value), len(done))
		}
		for i := range done {
			done[i] |= r.Value[i]
		}
		return nil
	})
	if err != nil || done == [len(done)]byte{} {
		return err
	}
	var packets []packet.Packet
	for i := range f.packets {
		if done[i/8]&(1<<(i%8)) == 0 {
			packets = append(packets, f.packets[i])
		}
	}
	f.packets = packets
	f.data = packet.AppendFrame(nil, f.header, packets)
	return nil
}

// groupRecords is how many records move at a time.
const groupRecords = 1000

// records moves the records of a table. What the own store has under the same key
// stays.
func (m *move) records(ctx context.Context, table store.Table) error {
	var group []store.Record
	move := func() error {
		if len(group) == 0 {
			return nil
		}
		tx := &store.Tx{Durable: true}
		var keys []store.Key
		for _, r := range group {
			_, has, err := m.Store.Get(ctx, r.Key)
			if err != nil {
				return err
			}
			if !has {
				tx.Put = append(tx.Put, r)
			}
			keys = append(keys, r.Key)
		}
		group = nil
		if err := m.untilStored(ctx, func() error { return m.Store.Commit(ctx, tx) }); err != nil {
			return err
		}
		return m.remove(nil, keys)
	}
	err := m.from.Records(ctx, table, "", func(r store.Record) error {
		if group = append(group, r); len(group) < groupRecords {
			return nil
		}
		return move()
	})
	if err != nil {
		return err
	}
	return move()
}
