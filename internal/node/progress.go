package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// The progress of frames that could not end in one transaction is a table: for
// each time something of the frame was stored, a record under
//
//	QUEUE 0 NUMBER(8) RECORD(4)     big endian; RECORD counts from 0
//
// which holds
//
//	32 bytes  a bit for each packet of the frame, the lowest of the first byte
//	          for the first: all is stored for it
//	entries   of packets that are stored and descend from one of the others: 16
//	          bytes, its id; 1 byte, the length of a queue's name, and the name;
//	          and likewise its state, since a dead letter has the id of the
//	          packet that it was
//
// The records go with the frame's acknowledgement.
const progressTable store.Table = "progress"

var errProgress = errors.New("the record of a frame's progress is not what was written")

// marks has a bit for each packet of a frame.
type marks [store.MaxPackets / 8]byte

func (m *marks) set(i int)      { m[i/8] |= 1 << (i % 8) }
func (m *marks) unset(i int)    { m[i/8] &^= 1 << (i % 8) }
func (m *marks) has(i int) bool { return m[i/8]&(1<<(i%8)) != 0 }
func (m *marks) any() bool      { return *m != marks{} }

// before is what earlier leases of a frame have stored.
type before struct {
	done   marks
	stored map[copyOf]bool
}

// A copyOf is one packet in one queue.
type copyOf struct {
	id    packet.ID
	in    store.Queue
	state packet.State
}

func progressKey(at store.Queue, number uint64) []byte {
	key := append([]byte(at), 0)
	return binary.BigEndian.AppendUint64(key, number)
}

func recordKey(frame store.Ref, record int) store.Key {
	key := binary.BigEndian.AppendUint32(progressKey(frame.At, frame.Number), uint32(record)) //nolint:gosec // far below
	return store.Key{In: progressTable, Key: string(key)}
}

// progressRecord is the record of that number for a frame.
func progressRecord(frame store.Ref, record int, done *marks, began []copyOf) store.Record {
	value := append([]byte(nil), done[:]...)
	for i := range began {
		value = began[i].append(value)
	}
	return store.Record{Key: recordKey(frame, record), Value: value}
}

// progressKeys are the keys of so many records for a frame.
func progressKeys(frame store.Ref, records int) (keys []store.Key) {
	for i := range records {
		keys = append(keys, recordKey(frame, i))
	}
	return keys
}

// loadProgress learns which frames have records of progress, before any frame is
// leased.
func (s *ownStore) loadProgress(ctx context.Context) error {
	s.progressed.mu.Lock()
	defer s.progressed.mu.Unlock()
	s.progressed.frames = map[store.Ref]bool{}
	return s.store.Scan(ctx, progressTable, "", func(key string, _ []byte) bool {
		if at, number, ok := strings.Cut(key, "\x00"); ok && len(number) == 8+4 {
			s.progressed.frames[store.Ref{At: store.Queue(at), Number: binary.BigEndian.Uint64([]byte(number))}] = true
		}
		return true
	})
}

// learnProgress is loadProgress until it works, or the node ends.
func (s *ownStore) learnProgress() {
	_ = storePauses.Until(s.running, func() error { return s.loadProgress(s.running) }, s.storeTrouble)
}

// hasProgress tells whether a frame of the own store may have records of
// progress. Where others write into the store too, any that was leased before may.
func (s *ownStore) hasProgress(at store.Queue, lease store.Lease) bool {
	if _, shared := s.store.(store.Shared); shared {
		return lease.Deliveries() > 1
	}
	s.progressed.mu.Lock()
	defer s.progressed.mu.Unlock()
	return s.progressed.frames[store.Ref{At: at, Number: lease.Number()}]
}

// noteProgress notes whether a frame has records of progress.
func (s *ownStore) noteProgress(frame store.Ref, has bool) {
	s.progressed.mu.Lock()
	defer s.progressed.mu.Unlock()
	if has {
		s.progressed.frames[frame] = true
	} else {
		delete(s.progressed.frames, frame)
	}
}

// readProgress reads what earlier leases of a frame have stored, and from how many
// records; nil is nothing.
func (s *ownStore) readProgress(ctx context.Context, frame store.Ref) (b *before, records int, err error) {
	var bad error
	b = &before{stored: map[copyOf]bool{}}
	err = s.store.Scan(ctx, progressTable, string(progressKey(frame.At, frame.Number)), func(_ string, value []byte) bool {
		bad = b.add(value)
		records++
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, 0, fmt.Errorf("read the progress of frame %d of %s: %w", frame.Number, frame.At, err)
	}
	if records == 0 {
		return nil, 0, nil
	}
	return b, records, nil
}

// add takes one record.
func (b *before) add(value []byte) error {
	if len(value) < len(b.done) {
		return errProgress
	}
	for i := range b.done {
		b.done[i] |= value[i]
	}
	for value = value[len(b.done):]; len(value) > 0; {
		if len(value) < 16 {
			return errProgress
		}
		id := packet.IDOf([16]byte(value))
		in, after, ok := cutName(value[16:])
		state, after, also := cutName(after)
		if !ok || !also {
			return errProgress
		}
		b.stored[copyOf{id, store.Queue(in), packet.State(state)}] = true
		value = after
	}
	return nil
}

func (c *copyOf) append(value []byte) []byte {
	value = c.id.Append(value)
	value = append(append(value, byte(len(c.in))), c.in...)      //nolint:gosec // names are short
	return append(append(value, byte(len(c.state))), c.state...) //nolint:gosec // as above
}

func cutName(value []byte) (name, after []byte, ok bool) {
	if len(value) < 1 || len(value) < 1+int(value[0]) {
		return nil, nil, false
	}
	return value[1 : 1+value[0]], value[1+int(value[0]):], true
}
