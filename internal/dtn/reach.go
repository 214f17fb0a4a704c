package dtn

import (
	"fmt"

	"github.com/recap/pumpkin/packet"
)

// unreached are the seeds and states that no injector's data can reach: none
// in a network without injectors, where data comes from outside only.
func (n *Network) unreached() []Finding {
	reached, fed := n.reachable()
	if !fed {
		return nil
	}
	given := n.where(n.given)
	var found []Finding
	for i := range n.transitions {
		p := &n.transitions[i]
		var f Finding
		switch {
		case reached.has(int32(i)) || n.awaitsUnknown(p):
			continue
		case p.contract.Join:
			f = n.about(Incomplete, int32(i))
			f.Text = fmt.Sprintf("the join %s can never complete: ", f.Seed)
		default:
			f = n.about(Unreachable, int32(i))
			f.Text = fmt.Sprintf("no data can reach %s: ", f.Seed)
		}
		n.blame(&f, p, reached, given)
		found = append(found, f)
	}
	for i := range n.places {
		p := &n.places[i]
		if n.given(p) || n.orphan(n.states[i]) {
			continue
		}
		var takers []int32
		for _, t := range p.takers {
			if reached.has(t) {
				takers = append(takers, t)
			}
		}
		if len(takers) == 0 {
			continue // what is to be said is said of the takers
		}
		f := n.about(Ungiven, takers...)
		f.State = n.states[i]
		f.Near = string(nearest(f.State, given))
		f.Text = fmt.Sprintf("%s is accepted by %s and produced by no seed%s",
			f.State, list(f.Seeds), hint("produced", f.Near))
		found = append(found, f)
	}
	return found
}

// given tells whether some seed gives the state, be it by failing.
func (n *Network) given(p *place) bool {
	if len(p.givers) > 0 {
		return true
	}
	_, ok := n.failed(p.state)
	return ok
}

// awaitsUnknown tells whether what the seed waits for is the failure of a
// seed that there is not, which is a finding of its own.
func (n *Network) awaitsUnknown(p *transition) bool {
	for _, s := range p.contract.In {
		if n.orphan(s) {
			return true
		}
	}
	return false
}

// blame ends the text of f, which is about p, with what p waits for in vain.
func (n *Network) blame(f *Finding, p *transition, reached bitset, given []packet.State) {
	var late []packet.State // given, by seeds that are not reached themselves
	for i, s := range p.contract.In {
		at := p.in[i]
		switch {
		case !n.given(&n.places[at]):
			f.State = s
			f.Near = string(nearest(s, given))
			f.Text += fmt.Sprintf("%s is produced by no seed%s", s, hint("produced", f.Near))
			return
		case !reached.has(n.vertex(at)):
			late = append(late, s)
		}
	}
	if len(late) == 0 {
		f.State = p.contract.In[0]
		f.Text += fmt.Sprintf("%s never come from one injection, and a join is for the packets of one ship",
			list(p.contract.In))
		return
	}
	f.State = late[0]
	f.Text += fmt.Sprintf("%s comes only from seeds that no data reaches either", late[0])
}

// reachable follows one ship from each state that an injector gives: everything
// that can descend from one injection. It returns what they reach together,
// seeds and states, and whether there is an injector at all. A join is reached
// by a ship that brings all its inputs.
func (n *Network) reachable() (reached bitset, fed bool) {
	next := n.links(true, true)
	reached = newBitset(len(next))
	roots := newBitset(len(n.states))
	for i, p := range n.transitions {
		if len(p.in) > 0 {
			continue
		}
		fed = true
		reached.add(int32(i))
		for _, s := range p.out {
			roots.add(s)
		}
		if s, ok := n.failure(int32(i)); ok {
			roots.add(s)
		}
	}
	roots.each(func(s int32) { reached.union(n.descendants(next, n.vertex(s))) })
	return reached, fed
}

// descendants is what one packet can lead to, joins included.
func (n *Network) descendants(next [][]int32, root int32) bitset {
	seen := newBitset(len(next))
	seen.add(root)
	has := make(map[int32]int) // inputs that are there, of joins
	for queue := []int32{root}; len(queue) > 0; {
		v := queue[0]
		queue = queue[1:]
		for _, w := range next[v] {
			if seen.has(w) {
				continue
			}
			if int(w) < len(n.transitions) && n.transitions[w].contract.Join {
				if has[w]++; has[w] < len(n.transitions[w].in) {
					continue
				}
			}
			seen.add(w)
			queue = append(queue, w)
		}
	}
	return seen
}
