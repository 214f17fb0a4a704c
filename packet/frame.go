package packet

import (
	"encoding/binary"
	"errors"
)

// A FrameHeader is what a frame says of all its packets.
type FrameHeader struct {
	// Deliveries counts how often these packets were delivered in earlier
	// frames without a verdict.
	Deliveries int
	// Sole says that each of the packets went to one seed alone, since no
	// other accepted it then.
	Sole bool
	// Tried says that the node in whose store the frame lies has run these packets,
	// and that they failed there.
	Tried bool
}

// Errors of [ParseFrame]. What makes the first is not damaged: a newer program
// wrote it, and can read it.
var (
	ErrNewerFrame   = errors.New("the frame was written by a newer version")
	ErrDamagedFrame = errors.New("the frame is damaged")
)

// The layout of a frame of version 2; version 1 is not read any more. Numbers of fixed length are
// little endian, "number" is an unsigned varint (encoding/binary's), "text" a number of bytes and
// the bytes.
//
//	3 bytes   "PkF"
//	1 byte    version, 2
//	4 bytes   how many packets
//	4 bytes   how many names are defined in the frame
//	4 bytes   how many hops are defined in the frame
//	1 byte    bits: 1 sole, 2 some of the packets have a blob, 4 tried
//	number    deliveries
//	packets
//	8 bytes   XXH3-64 of everything before
//
// A time is 8 bytes, nanoseconds since 1970; a far one, which that cannot hold
// (years before 1678 and after 2261, the zero time), is 8 bytes of seconds and
// 4 of nanoseconds.
//
// Names (of seeds, nodes and states) stand in the frame once: a "name" is a
// number, 0 for the empty one, 1 for a new one that follows as a text (not an
// empty one) and gets the next index, from 0, and index + 2 for an old one.
//
// A packet:
//
//	2 bytes   bits, see below
//	16 bytes  id
//	16 bytes  its ship's root, unless bit 0 (it is the id) or bit 1 (it is that
//	          of the packet before)
//	name      its ship's node, unless bit 2 (that of the packet before)
//	name      state, unless bit 3 (that of the packet before)
//	extra     if bit 4; bit 5 is the extra of the packet before instead
//	2 numbers attempt and dead letters, if bit 6
//	trail     if bit 7
//	wish      if bit 8; bit 9 is the wish of the packet before instead
//	fault     if bit 10
//	blob      if bit 11: 32 bytes of SHA-256 and a number, its size in bytes
//	text      data
//
// Bit 15 is reserved for a job, a run of several parts: an entry that names the
// meeting of its parts or holds them. The bits 12 to 14 have no meaning yet. A
// frame with any of these four is refused.
//
// A trail is a number b, a number n and n new hops, oldest first, each the one
// after the hop before it. The first comes after hop b - 1 of the frame, counted
// in the order of their definitions; b = 0 is the begin of a trail. The packet's
// newest hop is the last of the new ones or, if n is 0, hop b - 1. So hops that
// packets share stand in the frame once, and are shared again when it is read.
//
//	hop:   1 byte bits (1 at is far, 2 tracked); seed, version, node: names;
//	       at: time; if tracked, state: name, and data: text
//	wish:  1 byte bits (1 track, 2 deadline, 4 which is far, 8 follow, 16 trace);
//	       stop, goal, goal's node: names; deadline: time, if there is one; follow: 16 bytes,
//	       if there is one; trace: 16 bytes, 8 of the span and 1 of flags,
//	       likewise
//	fault: error, output: texts; state: name; attempts: number
//	extra: 1 byte bits, and what they say that there is, in this order:
//	       1  container: 16 bytes
//	       2  fragment's index and count: 2 numbers
//	       4  the ship's name: name
//	       8  attributes: how many, a number from 1 to 64; each a name and a text,
//	          in ascending order of the names' bytes; names and values together
//	          at most 16 KiB
//	       16 birth path: a text of at most 4 KiB, the varints of [Path]
//	       32 families: how many, a number from 1 to 16; of each its state, a
//	          name, and its id, 16 bytes; no state twice
//	       64 round: number
//	       128 failing since, in seconds: number
//	       It has at least one of them.
const (
	frameMagic   = "PkF"
	frameVersion = 2
	frameHead    = 17 // to the header's bits
	frameSum     = 8

	// The least bytes that each takes: they bound what a frame's counts may
	// say, and so what is allocated for it.
	leastPacket = 2 + 16 + 1
	leastHop    = 1 + 1 + 1 + 1 + 8
	leastName   = 1 + 1 + 1
)

const (
	rootIsID = 1 << iota
	rootAsBefore
	nodeAsBefore
	stateAsBefore
	hasExtra
	extraAsBefore
	hasTries
	hasTrail
	hasWish
	wishAsBefore
	hasFault
	hasBlob
	packetBits = 1<<iota - 1

	packetJob = 1 << 15 // reserved
)

const (
	hopFar = 1 << iota
	hopTracked
	hopBits = 1<<iota - 1
)

const (
	wishTrack = 1 << iota
	wishDeadline
	wishFar
	wishFollow
	wishTrace
	wishBits = 1<<iota - 1
)

const (
	extraContainer = 1 << iota
	extraFragment
	extraShipName
	extraAttributes
	extraPath
	extraFamilies
	extraRound
	extraFailing
	extraBits = 1<<iota - 1
)

const (
	headSole = 1 << iota
	headBlobs
	headTried
	headBits = 1<<iota - 1
)

// FrameHasBlobs tells, without reading the frame, whether packets in it name large
// data. It is to be asked of whole frames alone.
func FrameHasBlobs(frame []byte) bool {
	return len(frame) >= frameHead && frame[frameHead-1]&headBlobs != 0
}

// FrameSize is at most how many bytes the packet adds to a frame; where it
// shares names and hops with others, it adds less. It goes through the whole
// trail.
func FrameSize(p *Packet) int {
	const number, short = binary.MaxVarintLen64, 5 // of any value, below 1 << 32
	const name = 2 * short                         // and its letters
	n := 2 + 16 + 16 + 2*short + name + len(p.Ship.Node) + name + len(p.State) + number + len(p.Data)
	if p.Trail != nil {
		n += 2 * short
	}
	for h := p.Trail; h != nil; h = h.Prev {
		n += 1 + name + len(h.Seed) + name + len(h.Version) + name + len(h.Node) + 12 + name + len(h.State) + number + len(h.Data)
	}
	if w := p.Wish; w != nil {
		n += 1 + name + len(w.Stop) + name + len(w.Goal) + name + len(w.GoalNode) + 12 + 16 + 25
	}
	if p.Blob != nil {
		n += 32 + number
	}
	if e := p.Extra; e != nil {
		n += 1 + 16 + 2*short + name + len(e.ShipName) + short + e.Attributes.bytes() + len(e.Attributes)*(name+short) +
			short + len(e.Path) + short + short
		for _, f := range e.Families {
			n += name + len(f.State) + 16
		}
	}
	if f := p.Fault; f != nil {
		n += number + len(f.Error) + number + len(f.Output) + name + len(f.State) + short
	}
	return n
}
