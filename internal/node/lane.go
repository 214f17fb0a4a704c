package node

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A sender stands for whoever brought packets from outside: it can be told from others, and
// what it brought be withdrawn.
type sender struct{ _ byte }

// A lane is what packets of one frame have in common.
type lane struct {
	// into is the peer whose store they go into; nil is the node's own.
	into  *peer
	queue store.Queue
	rank  store.Rank
	// attempt sets apart the packets that are to be tried again later: those
	// of one attempt wait for about the same time. 0 is for all others.
	attempt int32
	// sole: no other seed accepted the packets.
	sole bool
}

// A framer puts packets into frames, one after the other in each lane. Its zero
// value is empty.
type framer struct {
	open   map[lane]*filling // the one in each lane that fills
	last   *filling          // that took a packet last
	frames []*filling        // in the order of their beginnings
	bytes  int
	count  int // of packets, copies included
}

// A filling is a frame that fills.
type filling struct {
	lane    lane
	packets []packet.Packet // a list of few or of many
	by      []*sender       // of each packet, if that matters
	bytes   int
	after   time.Duration // the longest that one of them is delayed
}

// add puts a packet of that size into a lane whose frames hold at most most
// packets.
func (fr *framer) add(l lane, most int, p *packet.Packet, size int, after time.Duration, by *sender) {
	f := fr.last
	if f == nil || f.lane != l {
		f = fr.open[l]
	}
	if f == nil || len(f.packets) >= most || f.bytes >= store.MaxBytes || f.bytes+size > store.MaxFrame {
		f = &filling{lane: l, packets: few.Get().(*fewPackets)[:0]}
		if fr.open == nil {
			fr.open = map[lane]*filling{}
		}
		fr.open[l] = f
		fr.frames = append(fr.frames, f)
	}
	fr.last = f
	if len(f.packets) == cap(f.packets) { // it holds few
		more := append(many.Get().(*manyPackets)[:0], f.packets...)
		f.free()
		f.packets = more
	}
	f.packets = append(f.packets, *p)
	if by != nil || f.by != nil {
		for len(f.by) < len(f.packets)-1 {
			f.by = append(f.by, nil)
		}
		f.by = append(f.by, by)
	}
	f.bytes += size
	f.after = max(f.after, after)
	fr.bytes += size
	fr.count++
}

type (
	fewPackets  [8]packet.Packet
	manyPackets [store.MaxPackets]packet.Packet
)

// few and many are emptied lists of packets, and scratch are buffers that frames are
// encoded in, since how long one is becomes known by that: they would be most of what
// a busy node allocates. With a thousand seeds one commit has a thousand frames, of a
// few packets each.
var (
	few     = sync.Pool{New: func() any { return new(fewPackets) }}
	many    = sync.Pool{New: func() any { return new(manyPackets) }}
	scratch = sync.Pool{New: func() any { return new([]byte) }}
)

// free gives the lists back. Nobody uses the frames any more.
func (fr *framer) free() {
	for _, f := range fr.frames {
		f.free()
	}
}

// free gives the list of the packets back.
func (f *filling) free() {
	clear(f.packets)
	switch cap(f.packets) {
	case len(fewPackets{}):
		few.Put((*fewPackets)(f.packets[:len(fewPackets{})]))
	case len(manyPackets{}):
		many.Put((*manyPackets)(f.packets[:len(manyPackets{})]))
	}
	f.packets = nil
}

// encode makes the frame as a store takes it.
func (f *filling) encode() store.Append {
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	*buf = packet.AppendFrame((*buf)[:0], packet.FrameHeader{Sole: f.lane.sole, Tried: f.lane.attempt > 0 && f.lane.into == nil}, f.packets)
	return store.Append{To: f.lane.queue, Frame: store.Frame{
		Data:    bytes.Clone(*buf),
		Packets: len(f.packets), Rank: f.lane.rank, After: min(f.after, store.MaxDelay), Blobs: blobsOf(f.packets),
	}}
}

// without takes the packets out that this sender has brought.
func (f *filling) without(sent *sender) {
	kept := 0
	for i, by := range f.by { // nil, or as long as packets
		if by != sent {
			f.packets[kept], f.by[kept] = f.packets[i], by
			kept++
		}
	}
	if f.by != nil {
		clear(f.packets[kept:])
		f.packets, f.by = f.packets[:kept], f.by[:kept]
	}
}

// storedSize is how many bytes the packet adds to a frame once large data lies
// beside it.
func storedSize(p *packet.Packet) int {
	size := packet.FrameSize(p)
	if len(p.Data) > store.MaxInline {
		size -= len(p.Data)
	}
	return size
}

// blobsOf is the large data that packets of one frame name, each once: a frame
// holds it once.
func blobsOf(ps []packet.Packet) (sums []packet.Sum) {
	for i := range ps {
		if b := ps[i].Blob; b != nil && !slices.Contains(sums, b.Sum) {
			sums = append(sums, b.Sum)
		}
	}
	return sums
}

// maxFrameHead is about what a frame takes beside its packets.
const maxFrameHead = 1 << 10

// ErrTooLong is a packet that no frame can hold, whatever its data.
var ErrTooLong = packet.ErrTooLong

func tooLong(p *packet.Packet, size int) error {
	beside := size
	if len(p.Data) <= store.MaxInline {
		beside -= len(p.Data)
	}
	return fmt.Errorf("packet %s: %w: its history and its names take %d bytes; at most %d are allowed", p.ID, ErrTooLong, beside, maxBeside)
}

// maxBeside is what a packet may have beside its data, in bytes, when it comes from
// outside: there is room in a frame for the largest data that lies in one, and for
// some more history.
const maxBeside = store.MaxFrame - store.MaxInline - maxFrameHead - 16<<10
