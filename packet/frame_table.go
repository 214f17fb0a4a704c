package packet

import (
	"slices"
	"unsafe"
)

// The tables that AppendFrame looks things up in. Both are arrays, so that they
// lie on its stack, and have a map for what is beyond a usual frame.

// A nameTable numbers the names of a frame, from 0. A frame has a handful, for
// which looking at each is quicker than a map.
type nameTable struct {
	few   [16]string
	count int
	more  map[string]int // of those that few has no room for
}

// index is the index of s, and whether it was there; it adds it if not.
func (t *nameTable) index(s string) (int, bool) {
	if i := slices.Index(t.few[:min(t.count, len(t.few))], s); i >= 0 {
		return i, true
	}
	if i, ok := t.more[s]; ok {
		return i, true
	}
	n := t.count
	t.count++
	if n < len(t.few) {
		t.few[n] = s
		return n, false
	}
	if t.more == nil {
		t.more = make(map[string]int)
	}
	t.more[s] = n
	return n, false
}

// A hopTable keeps the numbers of a frame's hops, from 1, by their addresses: a
// hash table with open addressing, since a frame has hundreds and a map would
// take most of the time that a frame takes. A nil one keeps nothing.
//
// For the hash, addresses are numbers. Were a hop moved, as one on a stack may
// be, it would not be found and written once more, which is no error.
type hopTable struct {
	few   [512]*Hop // by their number - 1
	slots [1024]uint16
	more  map[*Hop]uint32 // of those that few has no room for
}

// slot is where h is or, if it is not, where it would be.
func (t *hopTable) slot(h *Hop) *uint16 {
	i := uint64(uintptr(unsafe.Pointer(h))) * 0x9e3779b97f4a7c15 >> 32
	for {
		s := &t.slots[i%uint64(len(t.slots))]
		if *s == 0 || t.few[*s-1] == h {
			return s
		}
		i++
	}
}

// find is the number of h, or 0.
func (t *hopTable) find(h *Hop) uint32 {
	if t == nil {
		return 0
	}
	if n := *t.slot(h); n != 0 {
		return uint32(n)
	}
	return t.more[h]
}

// add keeps that h, which find did not find, has the number n, one more than
// the last.
func (t *hopTable) add(h *Hop, n uint32) {
	switch {
	case t == nil:
	case int(n) <= len(t.few):
		*t.slot(h) = uint16(n)
		t.few[n-1] = h
	default:
		if t.more == nil {
			t.more = make(map[*Hop]uint32)
		}
		t.more[h] = n
	}
}
