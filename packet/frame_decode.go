package packet

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/zeebo/xxh3"
)

// ParseFrame reads a frame that [AppendFrame] wrote. It does not keep data: the
// packets' texts are parts of one copy of it, and their hops of one array, so
// one packet that is kept keeps the texts and hops of its whole frame. Times
// are in UTC. Its errors are [ErrNewerFrame] and [ErrDamagedFrame]; whatever
// data holds, it takes no more memory than some thirty times its length.
func ParseFrame(data []byte) (FrameHeader, []Packet, error) {
	if len(data) <= len(frameMagic) || string(data[:len(frameMagic)]) != frameMagic {
		return FrameHeader{}, nil, fmt.Errorf("%w: it does not begin as one", ErrDamagedFrame)
	}
	if v := data[len(frameMagic)]; v > frameVersion {
		return FrameHeader{}, nil, fmt.Errorf("%w: it is of version %d, and this program reads up to %d", ErrNewerFrame, v, frameVersion)
	} else if v != frameVersion {
		return FrameHeader{}, nil, fmt.Errorf("%w: it is of version %d, and this program reads version %d alone", ErrDamagedFrame, v, frameVersion)
	}
	if len(data) < frameHead+1+frameSum {
		return FrameHeader{}, nil, fmt.Errorf("%w: it has %d bytes", ErrDamagedFrame, len(data))
	}
	body := data[:len(data)-frameSum]
	if xxh3.Hash(body) != binary.LittleEndian.Uint64(data[len(body):]) {
		return FrameHeader{}, nil, fmt.Errorf("%w: its sum is not that of its %d bytes", ErrDamagedFrame, len(data))
	}
	d := decoder{b: body, s: string(body), at: 4}
	packets, names, hops := d.u32(), d.u32(), d.u32()
	if need := packets*leastPacket + names*leastName + hops*leastHop; need > uint64(len(body)) {
		return FrameHeader{}, nil, fmt.Errorf("%w: %d packets, %d names and %d hops do not fit into %d bytes", ErrDamagedFrame, packets, names, hops, len(body))
	}
	d.names, d.hops = make([]string, 0, names), make([]Hop, 0, hops)
	h := d.header()
	ps := make([]Packet, packets)
	before, blobs := &Packet{}, false
	for i := range ps {
		d.packet(&ps[i], before)
		before = &ps[i]
		blobs = blobs || before.Blob != nil
	}
	if blobs != FrameHasBlobs(data) {
		d.fail("its packets and its header differ about large data")
	}
	if d.wrong == "" && (d.at != len(body) || len(d.names) != cap(d.names) || len(d.hops) != cap(d.hops)) {
		d.wrong = "something is left over"
	}
	if d.wrong != "" {
		return FrameHeader{}, nil, fmt.Errorf("%w: %s, at byte %d of %d", ErrDamagedFrame, d.wrong, d.at, len(data))
	}
	return h, ps, nil
}

// A decoder reads one frame. After the first thing that is wrong it reads
// zeros, so that this is looked at once, at the end.
type decoder struct {
	b     []byte // the frame without its sum
	s     string // the same
	at    int
	wrong string
	// Both have the capacity that the frame asks for, and never grow, so that
	// pointers into hops stay.
	names []string
	hops  []Hop
}

func (d *decoder) fail(wrong string) {
	if d.wrong == "" {
		d.wrong = wrong
	}
	d.b, d.s = d.b[:d.at], d.s[:d.at]
}

func (d *decoder) header() FrameHeader {
	var h FrameHeader
	bits := d.bits(headBits)
	h.Deliveries = d.count()
	h.Sole, h.Tried = bits&headSole != 0, bits&headTried != 0
	return h
}

// packet reads into p, which is zero, the packet after before.
func (d *decoder) packet(p, before *Packet) {
	if len(d.b)-d.at < 2+16 {
		d.fail("the frame ends within a packet")
		return
	}
	bits := binary.LittleEndian.Uint16(d.b[d.at:])
	if bits&packetJob != 0 {
		d.fail("a job, a run of several parts, which this program does not read")
		return
	}
	if bits&^packetBits != 0 {
		d.fail("a packet has unknown bits")
		return
	}
	p.ID = IDOf([16]byte(d.b[d.at+2:]))
	d.at += 2 + 16
	switch {
	case bits&rootIsID != 0:
		p.Ship.Root = p.ID
	case bits&rootAsBefore != 0:
		p.Ship.Root = before.Ship.Root
	default:
		p.Ship.Root = d.id()
	}
	if bits&nodeAsBefore != 0 {
		p.Ship.Node = before.Ship.Node
	} else {
		p.Ship.Node = d.name()
	}
	if bits&stateAsBefore != 0 {
		p.State = before.State
	} else {
		p.State = State(d.name())
	}
	switch {
	case bits&hasExtra != 0:
		p.Extra = d.extra()
	case bits&extraAsBefore != 0:
		p.Extra = before.Extra
	}
	if bits&hasTries != 0 {
		p.Attempt, p.DeadLetters = int32(d.count()), int32(d.count())
	}
	if bits&hasTrail != 0 {
		p.Trail = d.trail()
	}
	switch {
	case bits&hasWish != 0:
		p.Wish = d.wish()
	case bits&wishAsBefore != 0:
		p.Wish = before.Wish
	}
	if bits&hasFault != 0 {
		p.Fault = &Fault{Error: d.text(), Output: d.text(), State: State(d.name()), Attempts: d.count()}
	}
	if bits&hasBlob != 0 {
		p.Blob = d.blob()
	}
	p.Data = d.text()
}

func (d *decoder) extra() *Extra {
	bits := d.bits(extraBits)
	x := new(Extra)
	if bits&extraContainer != 0 {
		x.Container = d.id()
	}
	if bits&extraFragment != 0 {
		x.Fragment = Fragment{d.part(), d.part()}
	}
	if bits&extraShipName != 0 {
		x.ShipName = d.name()
	}
	if bits&extraAttributes != 0 {
		x.Attributes = d.attributes()
	}
	if bits&extraPath != 0 {
		x.Path = Path(d.text())
	}
	if bits&extraFamilies != 0 {
		x.Families = make([]Family, d.several("families", MaxFamilies))
		for i := range x.Families {
			x.Families[i] = Family{State(d.name()), d.id()}
		}
	}
	if bits&extraRound != 0 {
		x.Round = int32(d.count())
	}
	if bits&extraFailing != 0 {
		x.Failing = int64(d.number()) // one that is too great is negative, which is refused
	}
	switch err := x.Check(); {
	case d.wrong != "":
	case err != nil:
		d.fail(err.Error())
	case x.IsZero():
		d.fail("an extra that says nothing")
	}
	return x
}

func (d *decoder) attributes() Attributes {
	n := d.several("attributes", MaxAttributes)
	all := make(Attributes, n)
	last := ""
	for i := range n {
		name, value := d.name(), d.text()
		if i > 0 && name <= last {
			d.fail("attributes that are not in the order of their names")
			return nil
		}
		all[name], last = value, name
	}
	return all
}

// several reads how many there are, from 1 to most, and not more than bytes are
// left.
func (d *decoder) several(what string, most int) int {
	n := d.number()
	if n == 0 || n > uint64(min(most, len(d.b)-d.at)) {
		d.fail(fmt.Sprintf("%d %s; from 1 to %d are allowed", n, what, most))
		return 0
	}
	return int(n)
}

func (d *decoder) blob() *Blob {
	if len(d.b)-d.at < len(Sum{}) {
		d.fail("the frame ends within a blob")
		return nil
	}
	b := &Blob{Sum: Sum(d.b[d.at:])}
	d.at += len(b.Sum)
	size := d.number()
	if size > math.MaxInt64 {
		d.fail("a blob of more bytes than there are")
		return nil
	}
	b.Size = int64(size)
	return b
}

func (d *decoder) trail() *Hop {
	base, n := d.number(), d.number()
	if base > uint64(len(d.hops)) || n > uint64(cap(d.hops)-len(d.hops)) {
		d.fail("a trail of hops that are not there")
		return nil
	}
	var last *Hop
	depth := 0
	if base > 0 {
		last = &d.hops[base-1]
		depth = last.Depth
	}
	for ; n > 0; n-- {
		depth++
		d.hops = d.hops[:len(d.hops)+1]
		h := &d.hops[len(d.hops)-1]
		bits := d.bits(hopBits)
		h.Prev, h.Depth = last, depth
		h.Seed, h.Version, h.Node = d.name(), d.name(), d.name()
		h.At = d.time(bits&hopFar != 0)
		if bits&hopTracked != 0 {
			h.State, h.Data = State(d.name()), d.text()
		}
		last = h
	}
	return last
}

func (d *decoder) wish() *Wish {
	bits := d.bits(wishBits)
	w := &Wish{Stop: d.name(), Goal: State(d.name()), GoalNode: d.name(), Track: bits&wishTrack != 0}
	if bits&wishDeadline != 0 {
		w.Deadline = d.time(bits&wishFar != 0)
	}
	if bits&wishFollow != 0 {
		w.Follow = d.id()
	}
	if bits&wishTrace != 0 {
		if b := d.take(16 + 8 + 1); b != nil {
			w.Trace = TraceContext{Trace: [16]byte(b), Span: [8]byte(b[16:]), Flags: b[24]}
		}
	}
	return w
}

func (d *decoder) bits(known byte) byte {
	if d.at >= len(d.b) || d.b[d.at]&^known != 0 {
		d.fail("unknown bits")
		return 0
	}
	d.at++
	return d.b[d.at-1]
}

// number reads a varint; nearly all have one byte, so those come first.
func (d *decoder) number() uint64 {
	if d.at < len(d.b) && d.b[d.at] < 0x80 {
		d.at++
		return uint64(d.b[d.at-1])
	}
	return d.longNumber()
}

func (d *decoder) longNumber() uint64 {
	v, n := binary.Uvarint(d.b[d.at:])
	if n <= 0 {
		d.fail("no number where one is due")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) count() int {
	n := d.number()
	if n > math.MaxInt32 {
		d.fail("a count beyond 31 bits")
		return 0
	}
	return int(n)
}

func (d *decoder) part() uint32 {
	n := d.number()
	if n > math.MaxUint32 {
		d.fail("a fragment beyond 32 bits")
		return 0
	}
	return uint32(n)
}

func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.s)-d.at) {
		d.fail("a text ends behind the frame")
		return ""
	}
	at := d.at
	d.at += int(n)
	return d.s[at:d.at]
}

func (d *decoder) name() string {
	n := d.number()
	switch {
	case n == 0:
		return ""
	case n == 1:
		return d.newName()
	case n-2 < uint64(len(d.names)):
		return d.names[n-2]
	}
	d.fail("a name that is not there")
	return ""
}

func (d *decoder) newName() string {
	s := d.text()
	if s == "" || len(d.names) == cap(d.names) {
		d.fail("a name too many")
		return ""
	}
	d.names = append(d.names, s)
	return s
}

// take is the next n bytes, or nil.
func (d *decoder) take(n int) []byte {
	if len(d.b)-d.at < n {
		d.fail("the frame ends too early")
		return nil
	}
	d.at += n
	return d.b[d.at-n : d.at]
}

func (d *decoder) id() ID {
	if b := d.take(16); b != nil {
		return IDOf([16]byte(b))
	}
	return ID{}
}

func (d *decoder) u32() uint64 {
	if b := d.take(4); b != nil {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) time(far bool) time.Time {
	n := 8
	if far {
		n = 12
	}
	b := d.take(n)
	if b == nil {
		return time.Time{}
	}
	v := int64(binary.LittleEndian.Uint64(b))
	if !far {
		return time.Unix(0, v).UTC()
	}
	ns := binary.LittleEndian.Uint32(b[8:])
	if ns >= uint32(time.Second) {
		d.fail("a time of more nanoseconds than a second has")
		return time.Time{}
	}
	return time.Unix(v, int64(ns)).UTC()
}
