package trace

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/recap/pumpkin/packet"
)

// A Trace is the family of one ship, as far as it is known.
type Trace struct {
	// Ship is NODE:ID.
	Ship string `json:"ship"`
	// Packet is the one that was asked for; zero if the ship was.
	Packet packet.ID `json:"packet,omitzero"`
	// Roots are where the tree begins: the packet that came in and, where what
	// gave them is not known any more, others.
	Roots []*Step `json:"roots"`
	// Notes say what may be missing, and why.
	Notes []string `json:"notes,omitempty"`
}

// A Step is one packet of the family.
type Step struct {
	Packet packet.ID    `json:"packet"`
	State  packet.State `json:"state"`
	// Born is how it came in, for a packet that no run is known to have given;
	// nil where that is not known either.
	Born *Run `json:"born,omitempty"`
	// Trail is the seeds that it came through before, where their runs are not
	// known.
	Trail []Hop `json:"hops,omitempty"`
	// Runs are those of the seeds that took it, oldest first.
	Runs []*Taken `json:"runs,omitempty"`
	// Rests is where it lies now.
	Rests []Rest `json:"stored,omitempty"`
	// Unknown says that nothing is known of it but that it was given: it is in
	// the memory of a node, or no more is kept of it.
	Unknown bool `json:"unknown,omitempty"`
}

// A Taken is one run and what it gave.
type Taken struct {
	Run
	Result Result `json:"result"`
	// Steps are the packets that the run gave. Those of a run that was tried
	// again stand with the last.
	Steps []*Step `json:"steps,omitempty"`
	// More counts outputs of which nothing is known, not even their states.
	More int `json:"more,omitempty"`
}

// maxLooked is how many outputs, of those whose states were not kept, are looked
// for among the packets that are known.
const maxLooked = 1 << 20

// Build makes the tree of a ship from what the nodes know. asked is the packet
// that was asked for, or zero.
func Build(ship packet.Ship, asked packet.ID, shares []Share) Trace {
	b := builder{runs: map[packet.ID][]*Taken{}, born: map[packet.ID]*Run{}, rests: map[packet.ID][]Rest{}, placed: map[packet.ID]bool{}}
	for i := range shares {
		for j := range shares[i].Runs {
			b.add(&shares[i].Runs[j])
		}
		for _, r := range shares[i].Rests {
			b.rests[r.Packet] = append(b.rests[r.Packet], r)
		}
	}
	for id, runs := range b.runs {
		slices.SortStableFunc(runs, func(x, y *Taken) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Attempt, y.Attempt)) })
		b.rests[id] = slices.DeleteFunc(b.rests[id], func(r Rest) bool { return done(runs, r) })
	}
	t := Trace{Ship: ship.String(), Packet: asked, Roots: b.roots(ship.Root), Notes: notes(ship, shares)}
	if b.vague {
		t.Notes = append(t.Notes, "a packet that is neither kept nor in a store is in the memory of a node, was dropped, or ended so long ago that its hops are no longer kept")
	}
	return t
}

type builder struct {
	runs   map[packet.ID][]*Taken
	born   map[packet.ID]*Run
	rests  map[packet.ID][]Rest
	placed map[packet.ID]bool // packets that are in the tree
	looked int                // outputs that were looked for
	vague  bool               // of some nothing is known
}

func (b *builder) add(r *Run) {
	if r.Born {
		if b.born[r.Packet] == nil {
			b.born[r.Packet] = r
		}
		return
	}
	b.runs[r.Packet] = append(b.runs[r.Packet], &Taken{Run: *r, Result: r.Result()})
}

// done tells whether a packet that lies in a seed's inbox is only still there,
// since what descends from it has not ended: the seed has had it.
func done(runs []*Taken, r Rest) bool {
	if r.Seed == "" {
		return false
	}
	last := -1
	for i := range runs {
		if runs[i].Seed == r.Seed {
			last = i
		}
	}
	return last >= 0 && (runs[last].Result != Failed)
}

// children calls visit with each output of a run that something is known of.
func (b *builder) children(r *Run, visit func(id packet.ID, index int)) {
	run := packet.RunID(packet.KeyOf(r.Seed), r.Round, r.Packet)
	for i := range r.Gave {
		if i >= len(r.Given) {
			if b.looked++; b.looked > 2*maxLooked { // each is looked for twice
				return
			}
		}
		if id := run.Output(uint64(i)); i < len(r.Given) || b.known(id) {
			visit(id, i)
		}
	}
}

func (b *builder) known(id packet.ID) bool {
	return len(b.runs[id]) > 0 || len(b.rests[id]) > 0
}

func (b *builder) roots(root packet.ID) []*Step {
	given := map[packet.ID]bool{}
	var ids []packet.ID
	all := map[packet.ID]bool{}
	see := func(id packet.ID) {
		if !all[id] {
			all[id], ids = true, append(ids, id)
		}
	}
	for id, runs := range b.runs {
		see(id)
		for _, r := range runs {
			b.children(&r.Run, func(child packet.ID, _ int) { given[child] = true })
		}
	}
	for id := range b.born {
		see(id)
	}
	for id, rests := range b.rests {
		if len(rests) > 0 {
			see(id)
		}
	}
	ids = slices.DeleteFunc(ids, func(id packet.ID) bool { return given[id] })
	steps := make([]*Step, 0, len(ids))
	for _, id := range ids {
		steps = append(steps, b.step(id, ""))
	}
	slices.SortFunc(steps, func(x, y *Step) int {
		first := func(s *Step) int {
			if s.Packet == root {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(x), first(y)), x.at().Compare(y.at()), cmp.Compare(x.Packet.String(), y.Packet.String()))
	})
	return steps
}

// at is when the packet is known first.
func (s *Step) at() time.Time {
	switch {
	case s.Born != nil:
		return s.Born.At
	case len(s.Runs) > 0:
		return s.Runs[0].At
	case len(s.Rests) > 0:
		return s.Rests[0].Since
	}
	return time.Time{}
}

// step is the packet with what became of it.
func (b *builder) step(id packet.ID, state packet.State) *Step {
	b.placed[id] = true
	s := &Step{Packet: id, State: state, Born: b.born[id], Runs: b.runs[id], Rests: b.rests[id]}
	switch {
	case state != "": // it was given in it
	case s.Born != nil:
		s.State = s.Born.State
	case len(s.Runs) > 0:
		s.State = s.Runs[0].State
	case len(s.Rests) > 0:
		s.State = s.Rests[0].State
	}
	if state == "" && s.Born == nil && len(s.Rests) > 0 {
		s.Trail = s.Rests[0].Trail
	}
	s.Unknown = len(s.Runs) == 0 && len(s.Rests) == 0
	b.vague = b.vague || s.Unknown
	for i, r := range s.Runs {
		if r.Stopped || again(s.Runs[i+1:], r) {
			continue
		}
		shown := 0
		b.children(&r.Run, func(child packet.ID, index int) {
			if b.placed[child] {
				return
			}
			var given packet.State
			if index < len(r.Given) {
				given = r.Given[index]
			} else {
				given = b.first(child)
			}
			shown++
			r.Steps = append(r.Steps, b.step(child, given))
		})
		r.More = max(r.Gave-max(shown, min(r.Gave, len(r.Given))), 0)
	}
	return s
}

// first is the state that a packet was in when it is known first.
func (b *builder) first(id packet.ID) packet.State {
	if runs := b.runs[id]; len(runs) > 0 {
		return runs[0].State
	}
	return b.rests[id][0].State
}

// again tells whether one of the later runs is of the same seed: what the
// earlier one gave, it gave again.
func again(later []*Taken, r *Taken) bool {
	return slices.ContainsFunc(later, func(l *Taken) bool { return l.Seed == r.Seed && l.Gave >= r.Gave })
}

// notes say what the nodes do not keep of this ship.
func notes(ship packet.Ship, shares []Share) []string {
	var out []string
	for _, s := range shares {
		if s.Partial {
			out = append(out, fmt.Sprintf("the store of node %s has more packets than were searched", s.Node))
		}
		if !s.Keeps.Samples(ship.Root) {
			out = append(out, fmt.Sprintf("not kept: node %s runs so many packets now that it keeps one ship in %d, and this is none of them; those sent with --track, --wait, --goal or --stop are always kept", s.Node, s.Keeps.OneIn))
		}
	}
	return out
}

// Samples tells whether the ship of this root is one of those that are kept.
func (k Keeps) Samples(root packet.ID) bool {
	return k.OneIn <= 1 || Draw(root)&(k.OneIn-1) == 0
}
