package pebble

import (
	"time"
)

// A frame that is held in memory: one that was appended last, or was read to be
// leased, or is leased. It is in its queue's list, or in ahead, until it is gone; where
// else says which of these it is:
//
//	fresh    it was never leased
//	leased   holder is the id of the lease
//	back     it was released: it is in the queue's heap back
//	resting  it was released with a delay: it is in the heap later until it is due
type frame struct {
	content

	prev, next *frame
	deliveries int
	begun      bool // see Begin
	fresh      bool
	ending     bool       // the writer is acknowledging its lease
	holder     uint64     // the id of its lease; 0 is none
	in         *frameHeap // one of the queue's heaps, or nil
	at         int        // where in it
	due        time.Time
}

// A frameHeap is a heap of frames that knows where each of them is.
type frameHeap struct {
	list   []*frame
	before func(a, b *frame) bool
}

func (h *frameHeap) Len() int { return len(h.list) }

func (h *frameHeap) Less(i, j int) bool { return h.before(h.list[i], h.list[j]) }

func (h *frameHeap) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].at, h.list[j].at = i, j
}

func (h *frameHeap) Push(x any) {
	f := x.(*frame)
	f.in, f.at = h, len(h.list)
	h.list = append(h.list, f)
}

func (h *frameHeap) Pop() any {
	last := len(h.list) - 1
	f := h.list[last]
	h.list[last] = nil
	h.list = h.list[:last]
	f.in = nil
	return f
}
