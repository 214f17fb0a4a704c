package node

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Status is what a node is doing at one moment.
type Status struct {
	Node    string       `json:"node"`
	Group   string       `json:"group"`
	Run     string       `json:"run"`
	Since   time.Time    `json:"since"`
	Seeds   []SeedStatus `json:"seeds"`
	Waiting []Waiting    `json:"waiting"`
}

// A SeedStatus is what one seed of a node is doing.
type SeedStatus struct {
	Manifest seed.Manifest `json:"manifest"`
	// In counts the packets that the seed was given, retries included; an
	// injector's are its runs. Out counts what it gave, Failed the runs that
	// failed.
	In     uint64 `json:"in"`
	Out    uint64 `json:"out"`
	Failed uint64 `json:"failed"`
	// Queued are the packets in its queue, retries that wait for their time
	// included, and QueuedBytes their size.
	Queued      int `json:"queued"`
	QueuedBytes int `json:"queued_bytes"`
	// Running are the workers that have packets now, Workers the most there
	// may be.
	Running int `json:"running"`
	Workers int `json:"workers"`
	// Cost is the running estimate of what one packet takes; 0 while nothing
	// is known.
	Cost time.Duration `json:"cost_ns"`
}

// Waiting are the packets that wait in one state.
type Waiting struct {
	State   packet.State `json:"state"`
	Packets int          `json:"packets"`
	Bytes   int          `json:"bytes"`
	Since   time.Time    `json:"since"`
	Why     string       `json:"why"`
}

// Status looks at the node.
func (n *Node) Status() Status {
	st := Status{Node: n.cfg.Name, Group: n.cfg.Group, Run: n.cfg.Run, Since: n.clock.base}
	snap := n.snap.Load()
	for _, name := range slices.Sorted(maps.Keys(snap.hosts)) {
		st.Seeds = append(st.Seeds, snap.hosts[name].status())
	}
	st.Waiting = n.waits.look()
	for i := range st.Waiting {
		w := &st.Waiting[i]
		if len(snap.accept[w.State]) == 0 {
			w.Why = snap.whyWaits(&packet.Packet{State: w.State})
		}
	}
	slices.SortFunc(st.Waiting, func(a, b Waiting) int { return cmp.Compare(a.State, b.State) })
	return st
}

// Network is the automaton of what the node hosts now.
func (n *Node) Network() *dtn.Network { return n.snap.Load().net }

func (h *host) status() SeedStatus {
	st := SeedStatus{Manifest: h.manifest, Workers: len(h.slots), Cost: h.cost.get()}
	st.In, st.Out, st.Failed = h.counts()
	st.Queued, st.QueuedBytes = h.queue.look()
	st.Running = h.busy()
	return st
}

func (h *host) counts() (in, out, failed uint64) {
	for _, s := range h.slots {
		in += s.in.Load()
		out += s.out.Load()
		failed += s.failed.Load()
	}
	return in, out, failed
}
