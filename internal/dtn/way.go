package dtn

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Way leads from one state to another: what is run, and what it gives, one
// step after the other.
type Way []Step

// A Step is one seed of a [Way] and the state that it gives there.
type Step struct {
	Seed  seed.Name
	State packet.State
}

// maxTries bounds the work of one call of [Network.Ways], in partial ways
// that are looked at. The shortest way takes as many as it has steps.
const maxTries = 50_000

// Ways are the ways from one state to another, shortest first and by name
// among equals, at most so many. No state comes twice in a way; from a state
// to itself there is one way, which is empty. The search is bounded: in a
// network with very many ways, some may be missing, but never the shortest.
func (n *Network) Ways(from, to packet.State, most int) []Way {
	start, ok := n.stateAt[from]
	if !ok || most <= 0 {
		return nil
	}
	end, ok := n.stateAt[to]
	if !ok {
		return nil
	}
	left := n.hopsTo(end)
	if left[start] < 0 {
		return nil
	}
	var ways []Way
	open := &trails{{state: start, total: left[start]}}
	for tries := 0; open.Len() > 0 && tries < maxTries && len(ways) < most; {
		t := heap.Pop(open).(*trail)
		if t.state == end {
			ways = append(ways, n.way(t))
			continue
		}
		for _, r := range n.places[t.state].runners {
			for _, s := range n.transitions[r].out {
				tries++
				if left[s] < 0 || t.passes(s) {
					continue
				}
				heap.Push(open, &trail{
					prev: t, seed: r, state: s,
					length: t.length + 1, total: t.length + 1 + left[s], nth: tries,
				})
			}
		}
	}
	slices.SortFunc(ways, compareWay)
	return ways
}

// hopsTo counts, for each state, the seeds on the shortest way from it to
// end; -1 where there is none.
func (n *Network) hopsTo(end int32) []int {
	hops := make([]int, len(n.states))
	for i := range hops {
		hops[i] = -1
	}
	hops[end] = 0
	for queue := []int32{end}; len(queue) > 0; {
		s := queue[0]
		queue = queue[1:]
		for _, giver := range n.places[s].givers {
			if n.transitions[giver].contract.Join {
				continue
			}
			for _, in := range n.transitions[giver].in {
				if hops[in] < 0 {
					hops[in] = hops[s] + 1
					queue = append(queue, in)
				}
			}
		}
	}
	return hops
}

// way writes out a trail.
func (n *Network) way(t *trail) Way {
	way := make(Way, t.length)
	for ; t.prev != nil; t = t.prev {
		way[t.length-1] = Step{n.seeds[t.seed], n.states[t.state]}
	}
	return way
}

func compareWay(a, b Way) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return slices.CompareFunc(a, b, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.State, b.State))
	})
}

// A trail is the beginning of a way, up to a state.
type trail struct {
	prev   *trail
	seed   int32 // the last step
	state  int32
	length int // in steps
	total  int // the least that the whole way will have
	nth    int // in the order of being found
}

// passes tells whether the trail comes through s.
func (t *trail) passes(s int32) bool {
	for ; t != nil; t = t.prev {
		if t.state == s {
			return true
		}
	}
	return false
}

// trails is a heap with the most promising trail on top: the shortest in the
// end, the longest so far among those, so that one of them gets there first.
type trails []*trail

func (h trails) Len() int      { return len(h) }
func (h trails) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h trails) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(a.total-b.total, b.length-a.length, a.nth-b.nth) < 0
}
func (h *trails) Push(t any) { *h = append(*h, t.(*trail)) }
func (h *trails) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	*h = (*h)[:last]
	return t
}
