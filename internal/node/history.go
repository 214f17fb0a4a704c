package node

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// The bounds of a history. Rings grow as they are needed.
const (
	// maxRuns is how many runs each of its rings keeps, and maxRunBytes what they
	// may take.
	maxRuns     = 16384
	maxRunBytes = 32 << 20
	// sampled is how many runs that nobody asked for are kept in each
	// sampleTime: so maxRuns cover some eight seconds at the least.
	sampled    = 200
	sampleTime = 100 * time.Millisecond
	// maxSparse bounds how seldom a ship is in the sample: one in 2^maxSparse.
	maxSparse = 24
)

// A history is what the node remembers of runs that are over. Those of packets
// whose sender asked for something have a ring of their own. Of the others a
// sample of ships is kept, whole families, chosen by the ship's id; the sample is
// as large as sampled allows, which at low load is all of them. Runs that fail are
// kept as well, as many again.
type history struct {
	// mask has as many bits as the sample is sparse: a ship is in it whose
	// draw has none of them.
	mask atomic.Uint64

	mu     sync.Mutex
	asked  runs
	others runs
	// Since window began: runs of the sample, and failures beside it.
	window      time.Time
	kept, fails int
	data        map[packet.ID]int // bytes of tracked data, by ship
}

// samples tells whether the packets of a ship are kept though nobody asked.
func (h *history) samples(root packet.ID) bool {
	return trace.Draw(root)&h.mask.Load() == 0
}

// keeps is what the history keeps now.
func (h *history) keeps() trace.Keeps {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := trace.Keeps{OneIn: h.mask.Load() + 1}
	if first := h.others.at(0); first != nil {
		k.Since = first.At
	}
	return k
}

// addAsked keeps a run of a packet whose sender asked for something.
func (h *history) addAsked(r trace.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := trace.MaxShipData - h.data[r.Ship.Root]; r.DataSize() > room {
		r.Shorten(room)
	}
	if size := r.DataSize(); size > 0 {
		if h.data == nil {
			h.data = map[packet.ID]int{}
		}
		h.data[r.Ship.Root] += size
	}
	h.asked.add(r, h.forgot)
}

// forgot takes the data of a run that is kept no longer off its ship's.
func (h *history) forgot(r *trace.Run) {
	size := r.DataSize()
	if size == 0 {
		return
	}
	if h.data[r.Ship.Root] -= size; h.data[r.Ship.Root] <= 0 {
		delete(h.data, r.Ship.Root)
	}
}

// add keeps a run of the sample, or one that failed, if there is room for it
// now.
func (h *history) add(r trace.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.turn(now)
	if !h.samples(r.Ship.Root) {
		if r.Error == "" || h.fails >= sampled {
			return // the sample has become sparser since the run began
		}
		h.fails++
	} else if h.kept++; h.kept > sampled {
		if mask := h.mask.Load(); mask < 1<<maxSparse-1 {
			h.mask.Store(mask<<1 | 1)
		}
		h.kept = sampled / 2
	}
	h.others.add(r, func(*trace.Run) {})
}

// relax lets the sample grow again where there is room; it is called now and
// then, since a sparse sample may have nothing that would.
func (h *history) relax(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turn(now)
}

// turn begins a new window when it is time. The caller holds h.mu.
func (h *history) turn(now time.Time) {
	if now.Sub(h.window) < sampleTime {
		return
	}
	if h.kept < sampled/4 {
		h.mask.Store(h.mask.Load() >> 1)
	}
	h.window, h.kept, h.fails = now, 0, 0
}

// each visits every run that is kept, until visit returns false.
func (h *history) each(visit func(*trace.Run) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ring := range []*runs{&h.asked, &h.others} {
		for i := range ring.n {
			if !visit(ring.at(i)) {
				return
			}
		}
	}
}

// runs are the newest ones, in the order they came. Its zero value is empty.
type runs struct {
	buf   []trace.Run // its length is a power of two, or 0
	head  int
	n     int
	bytes int
}

// at is the i-th, from the oldest; nil if there are not so many.
func (q *runs) at(i int) *trace.Run {
	if i >= q.n {
		return nil
	}
	return &q.buf[(q.head+i)&(len(q.buf)-1)]
}

// add keeps r instead of the oldest ones that there is no room for beside it;
// those it gives to forgot.
func (q *runs) add(r trace.Run, forgot func(*trace.Run)) {
	q.bytes += r.Size()
	for q.n > 0 && (q.n == maxRuns || q.bytes > maxRunBytes) {
		old := q.at(0)
		q.bytes -= old.Size()
		forgot(old)
		*old = trace.Run{}
		q.head = (q.head + 1) & (len(q.buf) - 1)
		q.n--
	}
	if q.n == len(q.buf) {
		grown := make([]trace.Run, max(16, 2*len(q.buf)))
		for i := range q.n {
			grown[i] = *q.at(i)
		}
		q.buf, q.head = grown, 0
	}
	q.n++
	*q.at(q.n - 1) = r
}
