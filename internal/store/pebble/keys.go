package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// The layout of what lies in the engine. Numbers in keys are big endian, so
// that their order is that of the bytes; "number" is an unsigned varint. QUEUE
// is a queue's name, which never holds a zero byte.
//
//	f QUEUE 0 NUMBER(8)     a frame: see below
//	d DUE(8) NUMBER(8)      a delayed frame: number, length of QUEUE; QUEUE;
//	                        8 bytes, the delay in ns; a frame. DUE is in ns
//	                        since 1970
//	c QUEUE                 numbers: its frames, their packets, their bytes,
//	                        how many of them are delayed, and below which
//	                        number none of the others lies
//	l QUEUE                 numbers: the highest frame that was leased, then for
//	                        each that a process worked on which did not end
//	                        well, its number and how many such processes
//	b SUM(32) NUMBER(8)     nothing: the frame with this number names the blob
//	t TABLE 0 KEY           a record
//	m next                  8 bytes: no frame has this number or a higher one
//
// A frame is
//
//	8 bytes   when it was appended, in ns since 1970
//	number    packets
//	number    blobs, and 32 bytes of each
//	          the frame's data, which has a checksum of its own
//
// In a store in memory the engine holds records and delayed frames alone: all other
// frames are in the lists of their queues.
//
// Numbers are drawn from one sequence for all queues and never used again, so
// the keys of frames, delayed frames and blobs are written once and deleted
// once: they are deleted by SingleDelete, and vanish at the next flush. Records
// and counts, which are overwritten, are not.
const (
	keyFrame   = 'f'
	keyDelayed = 'd'
	keyCount   = 'c'
	keyLeased  = 'l'
	keyBlob    = 'b'
	keyTable   = 't'
)

var keyNext = []byte("mnext")

// overhead is about what a frame takes in the engine beside its data.
const overhead = 64

func frameKey(buf []byte, q store.Queue, number uint64) []byte {
	buf = append(append(append(buf, keyFrame), q...), 0)
	return binary.BigEndian.AppendUint64(buf, number)
}

func delayedKey(buf []byte, due int64, number uint64) []byte {
	buf = binary.BigEndian.AppendUint64(append(buf, keyDelayed), uint64(due)) //nolint:gosec // after 1970
	return binary.BigEndian.AppendUint64(buf, number)
}

func blobKey(buf []byte, sum packet.Sum, number uint64) []byte {
	buf = append(append(buf, keyBlob), sum[:]...)
	return binary.BigEndian.AppendUint64(buf, number)
}

func queueKey(kind byte, q store.Queue) []byte {
	return append([]byte{kind}, q...)
}

func recordKey(k store.Key) []byte {
	buf := make([]byte, 0, 2+len(k.In)+len(k.Key))
	buf = append(append(append(buf, keyTable), k.In...), 0)
	return append(buf, k.Key...)
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

var errLayout = errors.New("it is not what was stored")

// A content is what is stored of a frame.
type content struct {
	number  uint64 // in its key
	data    []byte
	packets int
	since   int64 // ns since 1970
	blobs   []packet.Sum
}

// size is about what the frame takes.
func (f *content) size() int64 { return int64(len(f.data)) + overhead }

// valueSize is how long the value of a frame is.
func (f *content) valueSize() int {
	var n [2 * binary.MaxVarintLen64]byte
	head := binary.PutUvarint(n[:], uint64(f.packets)) + binary.PutUvarint(n[:], uint64(len(f.blobs)))
	return 8 + head + len(f.blobs)*len(packet.Sum{}) + len(f.data)
}

// appendValue writes the value of a frame.
func (f *content) appendValue(buf []byte) []byte {
	buf = binary.LittleEndian.AppendUint64(buf, uint64(f.since)) //nolint:gosec // back again in parseFrame
	buf = binary.AppendUvarint(buf, uint64(f.packets))
	buf = binary.AppendUvarint(buf, uint64(len(f.blobs)))
	for i := range f.blobs {
		buf = append(buf, f.blobs[i][:]...)
	}
	return append(buf, f.data...)
}

// parseFrame reads the value of a frame, without its number. The data is a part of value.
func parseFrame(value []byte) (content, error) {
	if len(value) < 8 {
		return content{}, errLayout
	}
	f := content{since: int64(binary.LittleEndian.Uint64(value))} //nolint:gosec // as it was written
	r := reader{value[8:], nil}
	packets, blobs := r.number(), r.number()
	if r.err != nil || packets < 1 || packets > store.MaxPackets || blobs > packets {
		return content{}, errLayout
	}
	f.packets = int(packets) //nolint:gosec // bounded
	for range blobs {
		var sum packet.Sum
		copy(sum[:], r.bytes(len(sum)))
		f.blobs = append(f.blobs, sum)
	}
	f.data = r.left
	if r.err != nil || len(f.data) == 0 || len(f.data) > store.MaxFrame {
		return content{}, errLayout
	}
	return f, nil
}

// numberOf is the number at the end of a key.
func numberOf(key []byte) uint64 {
	return binary.BigEndian.Uint64(key[len(key)-8:])
}

// A delayed frame as it lies in its table.
type delayed struct {
	due, after int64
	number     uint64
	to         store.Queue
	frame      content // whose number is 0
}

func (d *delayed) key() []byte { return delayedKey(nil, d.due, d.number) }

func (d *delayed) value() []byte {
	buf := binary.AppendUvarint(nil, uint64(len(d.to)))
	buf = append(buf, d.to...)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(d.after)) //nolint:gosec // never negative
	return d.frame.appendValue(buf)
}

func parseDelayed(key, value []byte) (*delayed, error) {
	if len(key) != 17 {
		return nil, errLayout
	}
	d := &delayed{due: int64(binary.BigEndian.Uint64(key[1:])), number: numberOf(key)} //nolint:gosec // as it was written
	r := reader{value, nil}
	name := r.bytes(int(min(r.number(), 1<<10))) //nolint:gosec // bounded
	after := r.bytes(8)
	if r.err != nil {
		return nil, errLayout
	}
	d.to, d.after = store.Queue(name), int64(binary.LittleEndian.Uint64(after)) //nolint:gosec // checked next
	if d.after < 0 || d.after > int64(store.MaxDelay) || d.to.Check() != nil {
		return nil, errLayout
	}
	f, err := parseFrame(r.left)
	d.frame = f
	return d, err
}

// counts are those of a queue.
type counts struct {
	frames, packets int
	bytes           int64
	delayed         int // of the frames
	low             uint64
}

func (c counts) value() []byte {
	var buf []byte
	for _, n := range []uint64{uint64(c.frames), uint64(c.packets), uint64(c.bytes), uint64(c.delayed), c.low} { //nolint:gosec // never negative
		buf = binary.AppendUvarint(buf, n)
	}
	return buf
}

func parseCounts(value []byte) (counts, error) {
	r := reader{value, nil}
	c := counts{frames: int(r.number()), packets: int(r.number()), bytes: int64(r.number()), delayed: int(r.number()), low: r.number()} //nolint:gosec // as it was written
	if r.err != nil || c.frames < 1 || c.packets < c.frames || c.bytes < 0 {
		return counts{}, errLayout
	}
	return c, nil
}

// A reader takes a value apart.
type reader struct {
	left []byte
	err  error
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.left)
	if size <= 0 {
		r.left, r.err = nil, errLayout
		return 0
	}
	r.left = r.left[size:]
	return n
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.left) {
		r.left, r.err = nil, errLayout
		return nil
	}
	b := r.left[:n]
	r.left = r.left[n:]
	return b
}

// inFrame names a frame in an error.
func inFrame(q store.Queue, number uint64, err error) error {
	return fmt.Errorf("frame %d of %s: %w", number, q, err)
}

func timeOf(nanos int64) time.Time { return time.Unix(0, nanos) }
