package packet

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/zeebo/xxh3"
)

// AppendFrame appends the frame of these packets to dst and returns the longer
// slice. It keeps neither. What a packet has in its Extra keeps the limits of
// [Extra.Check]: a frame beyond them is not read. Of a hop, Depth is not written but counted anew;
// counts that are negative or exceed 31 bits are written as the nearest that
// does not.
func AppendFrame(dst []byte, h FrameHeader, ps []Packet) []byte {
	size := frameHead + binary.MaxVarintLen32 + frameSum
	for i := range ps {
		size += len(ps[i].Data) + 64 // a usual one; append grows for the others
	}
	start := len(dst)
	b := append(slices.Grow(dst, size), frameMagic...)
	b = append(b, frameVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(ps)))
	b = append(b, make([]byte, 8)...) // names and hops, known at the end
	b = appendHeader(b, h)

	var e encoder
	if len(ps) > 1 { // else nothing is shared
		var hops hopTable
		e.shared = &hops
	}
	before := &Packet{}
	for i := range ps {
		b = e.packet(b, &ps[i], before)
		before = &ps[i]
		if before.Blob != nil {
			b[start+frameHead-1] |= headBlobs
		}
	}
	binary.LittleEndian.PutUint32(b[start+8:], uint32(e.names.count))
	binary.LittleEndian.PutUint32(b[start+12:], e.hops)
	return binary.LittleEndian.AppendUint64(b, xxh3.Hash(b[start:]))
}

// An encoder knows what one frame has defined so far. The frame itself is no
// field of it: it is returned, which would put the tables on the heap as well.
type encoder struct {
	names  nameTable
	hops   uint32 // defined so far
	shared *hopTable
}

func appendHeader(b []byte, h FrameHeader) []byte {
	var bits byte
	if h.Sole {
		bits |= headSole
	}
	if h.Tried {
		bits |= headTried
	}
	b = append(b, bits)
	return appendCount(b, h.Deliveries)
}

// packet writes p, which comes after before.
func (e *encoder) packet(b []byte, p, before *Packet) []byte {
	at := len(b)
	b = append(b, 0, 0) // the bits, known at the end
	var bits uint16
	b = p.ID.Append(b)
	switch p.Ship.Root {
	case p.ID:
		bits |= rootIsID
	case before.Ship.Root:
		bits |= rootAsBefore
	default:
		b = p.Ship.Root.Append(b)
	}
	if p.Ship.Node == before.Ship.Node {
		bits |= nodeAsBefore
	} else {
		b = e.name(b, p.Ship.Node)
	}
	if p.State == before.State {
		bits |= stateAsBefore
	} else {
		b = e.name(b, string(p.State))
	}
	switch {
	case p.Extra == nil:
	case p.Extra == before.Extra:
		bits |= extraAsBefore
	case !p.Extra.IsZero():
		bits |= hasExtra
		b = e.extra(b, p.Extra)
	}
	if p.Attempt != 0 || p.DeadLetters != 0 {
		bits |= hasTries
		b = appendCount(b, int(p.Attempt))
		b = appendCount(b, int(p.DeadLetters))
	}
	if p.Trail != nil {
		bits |= hasTrail
		b = e.trail(b, p.Trail)
	}
	switch {
	case p.Wish == nil:
	case p.Wish == before.Wish:
		bits |= wishAsBefore
	default:
		bits |= hasWish
		b = e.wish(b, p.Wish)
	}
	if p.Fault != nil {
		bits |= hasFault
		b = e.fault(b, p.Fault)
	}
	if p.Blob != nil {
		bits |= hasBlob
		b = append(b, p.Blob.Sum[:]...)
		b = appendNumber(b, uint64(max(p.Blob.Size, 0)))
	}
	b = appendText(b, p.Data)
	binary.LittleEndian.PutUint16(b[at:], bits)
	return b
}

func (e *encoder) trail(b []byte, newest *Hop) []byte {
	var some [16]*Hop // spares an allocation for usual trails
	fresh := some[:0]
	base := uint32(0)
	for h := newest; h != nil; h = h.Prev {
		if base = e.shared.find(h); base != 0 {
			break
		}
		fresh = append(fresh, h)
	}
	b = appendNumber(b, uint64(base))
	b = appendNumber(b, uint64(len(fresh)))
	for _, h := range slices.Backward(fresh) {
		e.hops++
		e.shared.add(h, e.hops)
		b = e.hop(b, h)
	}
	return b
}

func (e *encoder) hop(b []byte, h *Hop) []byte {
	var bits byte
	far := isFar(h.At)
	if far {
		bits |= hopFar
	}
	tracked := h.State != "" || h.Data != ""
	if tracked {
		bits |= hopTracked
	}
	b = append(b, bits)
	b = e.name(b, h.Seed)
	b = e.name(b, h.Version)
	b = e.name(b, h.Node)
	b = appendTime(b, h.At, far)
	if tracked {
		b = e.name(b, string(h.State))
		b = appendText(b, h.Data)
	}
	return b
}

func (e *encoder) wish(b []byte, w *Wish) []byte {
	var bits byte
	far := isFar(w.Deadline)
	if w.Track {
		bits |= wishTrack
	}
	if !w.Deadline.IsZero() {
		bits |= wishDeadline
		if far {
			bits |= wishFar
		}
	}
	if !w.Follow.IsZero() {
		bits |= wishFollow
	}
	if !w.Trace.IsZero() {
		bits |= wishTrace
	}
	b = append(b, bits)
	b = e.name(b, w.Stop)
	b = e.name(b, string(w.Goal))
	b = e.name(b, w.GoalNode)
	if bits&wishDeadline != 0 {
		b = appendTime(b, w.Deadline, far)
	}
	if bits&wishFollow != 0 {
		b = w.Follow.Append(b)
	}
	if bits&wishTrace != 0 {
		b = append(b, w.Trace.Trace[:]...)
		b = append(b, w.Trace.Span[:]...)
		b = append(b, w.Trace.Flags)
	}
	return b
}

func (e *encoder) extra(b []byte, x *Extra) []byte {
	at := len(b)
	b = append(b, 0) // the bits, known at the end
	var bits byte
	if x.Container != (ID{}) {
		bits |= extraContainer
		b = x.Container.Append(b)
	}
	if x.Fragment != (Fragment{}) {
		bits |= extraFragment
		b = appendNumber(b, uint64(x.Fragment.Index))
		b = appendNumber(b, uint64(x.Fragment.Count))
	}
	if x.ShipName != "" {
		bits |= extraShipName
		b = e.name(b, x.ShipName)
	}
	if len(x.Attributes) > 0 {
		bits |= extraAttributes
		b = appendNumber(b, uint64(len(x.Attributes)))
		for _, name := range x.Attributes.names() {
			b = e.name(b, name)
			b = appendText(b, x.Attributes[name])
		}
	}
	if x.Path != "" {
		bits |= extraPath
		b = appendText(b, string(x.Path))
	}
	if len(x.Families) > 0 {
		bits |= extraFamilies
		b = appendNumber(b, uint64(len(x.Families)))
		for _, f := range x.Families {
			b = e.name(b, string(f.State))
			b = f.ID.Append(b)
		}
	}
	if x.Round != 0 {
		bits |= extraRound
		b = appendCount(b, int(x.Round))
	}
	if x.Failing > 0 {
		bits |= extraFailing
		b = appendNumber(b, uint64(x.Failing))
	}
	b[at] = bits
	return b
}

func (e *encoder) fault(b []byte, f *Fault) []byte {
	b = appendText(b, f.Error)
	b = appendText(b, f.Output)
	b = e.name(b, string(f.State))
	return appendCount(b, f.Attempts)
}

func appendNumber(b []byte, n uint64) []byte {
	if n < 0x80 {
		return append(b, byte(n))
	}
	return binary.AppendUvarint(b, n)
}

func appendCount(b []byte, n int) []byte {
	return appendNumber(b, uint64(min(max(n, 0), math.MaxInt32)))
}

func appendText(b []byte, s string) []byte {
	b = appendNumber(b, uint64(len(s)))
	return append(b, s...)
}

func (e *encoder) name(b []byte, s string) []byte {
	if s == "" {
		return append(b, 0)
	}
	if i, ok := e.names.index(s); ok {
		return appendNumber(b, uint64(i)+2)
	}
	b = append(b, 1)
	return appendText(b, s)
}

// isFar tells whether nanoseconds since 1970 cannot hold t.
func isFar(t time.Time) bool {
	s := t.Unix()
	return s < math.MinInt64/int64(time.Second) || s >= math.MaxInt64/int64(time.Second)
}

func appendTime(b []byte, t time.Time, far bool) []byte {
	if far {
		b = binary.LittleEndian.AppendUint64(b, uint64(t.Unix()))
		return binary.LittleEndian.AppendUint32(b, uint32(t.Nanosecond()))
	}
	return binary.LittleEndian.AppendUint64(b, uint64(t.UnixNano()))
}
