package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A model is a network of made-up seeds. What a seed does with a packet is
// decided by their names alone, so that an oracle can tell it beforehand. The
// data of a packet is how many more seeds it may come through.
type model struct {
	seeds []*modelSeed
	takes map[packet.State][]*modelSeed
	// spill has failing runs give their outputs first.
	spill bool

	mu   sync.Mutex
	runs map[ranOn]int // that succeeded
}

type modelSeed struct {
	seed.Manifest
	late bool // hosted when packets are under way
}

// ranOn is one seed on one packet.
type ranOn struct {
	seed seed.Name
	id   packet.ID
}

// waitsAt is one packet that waits.
type waitsAt struct {
	state packet.State
	id    packet.ID
}

// A fate is what a seed does with a packet.
type fate struct {
	fails  int // so many attempts
	panics bool
	slow   bool
	gives  []packet.State
}

func (s *modelSeed) fate(id packet.ID, depth int) fate {
	key := packet.KeyOf(string(s.Name) + id.String())
	rnd := rand.New(rand.NewPCG(uint64(key), 1))
	var f fate
	switch n := rnd.IntN(40); {
	case n == 0:
		f.fails = 1 << 30
	case n < 4:
		f.fails = 1 + rnd.IntN(3)
	}
	f.panics = rnd.IntN(2) == 0
	f.slow = rnd.IntN(150) == 0
	if depth > 0 && len(s.Contract.Out) > 0 {
		for range rnd.IntN(4) {
			f.gives = append(f.gives, s.Contract.Out[rnd.IntN(len(s.Contract.Out))])
		}
	}
	return f
}

// newModel draws a network.
func newModel(rnd *rand.Rand) *model {
	m := &model{takes: map[packet.State][]*modelSeed{}, runs: map[ranOn]int{}}
	states := make([]packet.State, 4+rnd.IntN(4))
	for i := range states {
		states[i] = packet.State("T:S" + strconv.Itoa(i))
	}
	some := func(most int) (out []packet.State) {
		for range rnd.IntN(most + 1) {
			if s := states[rnd.IntN(len(states))]; !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out
	}
	for i := range 4 + rnd.IntN(5) {
		s := m.newSeed(rnd, fmt.Sprint("seed", i))
		s.Contract.Out = some(3)
		if s.Contract.In = some(2); len(s.Contract.In) == 0 {
			s.Contract.In = []packet.State{states[i%len(states)]}
		}
		m.add(s)
		if rnd.IntN(3) == 0 {
			repair := m.newSeed(rnd, fmt.Sprint("repair", i))
			repair.Contract.In, repair.Contract.Out = []packet.State{packet.ErrorState(string(s.Name))}, some(1)
			m.add(repair)
		}
	}
	// A state that one more seed takes has either no other, or is skipped:
	// what came before it would not get there.
	for i, s := range states {
		if len(m.takes[s]) == 0 && rnd.IntN(2) == 0 {
			late := m.newSeed(rnd, fmt.Sprint("late", i))
			late.Contract.In, late.late = []packet.State{s}, true
			m.add(late)
		}
	}
	return m
}

func (m *model) newSeed(rnd *rand.Rand, name string) *modelSeed {
	s := &modelSeed{Manifest: seed.Manifest{Name: seed.Name(name), Kind: seed.Go, Workers: 1 + rnd.IntN(8), Retries: rnd.IntN(4)}}
	if rnd.IntN(4) == 0 {
		s.Timeout = time.Minute // never called inline
	}
	return s
}

func (m *model) add(s *modelSeed) {
	m.seeds = append(m.seeds, s)
	for _, state := range s.Contract.In {
		m.takes[state] = append(m.takes[state], s)
	}
}

// accepts are the seeds that a packet goes to in the end.
func (m *model) accepts(p *packet.Packet) []*modelSeed {
	if p.DeadLetters > maxRounds {
		return nil
	}
	return m.takes[p.State]
}

// fn is what s does.
func (m *model) fn(s *modelSeed) gofn.Func {
	return func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		depth, err := strconv.Atoi(in.Data)
		if err != nil {
			return err
		}
		f := s.fate(in.ID, depth)
		if f.slow {
			time.Sleep(longRun + 10*time.Millisecond)
		}
		failing := int(in.Attempt) < f.fails
		if !failing || m.spill {
			for _, state := range f.gives {
				if err := emit(state, strconv.Itoa(depth-1)); err != nil {
					return err
				}
			}
		}
		switch {
		case failing && f.panics:
			panic("no such galaxy")
		case failing:
			return errors.New("no such star")
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.runs[ranOn{s.Name, in.ID}]++
		return nil
	}
}

// An outcome is what becomes of packets: the runs that succeed, and what waits
// in the end.
type outcome struct {
	runs  map[ranOn]int
	waits map[waitsAt]int
	total int
}

// expect adds what becomes of p.
func (m *model) expect(o *outcome, p *packet.Packet) {
	if o.total++; o.total > maxTree {
		return
	}
	to := m.accepts(p)
	if len(to) == 0 {
		o.waits[waitsAt{p.State, p.ID}]++
	}
	for _, s := range to {
		ok, children := m.outputs(s, p)
		if ok {
			o.runs[ranOn{s.Name, p.ID}]++
		}
		for i := range children {
			m.expect(o, &children[i])
		}
	}
}

// maxTree bounds what the oracle follows.
const maxTree = 20000

// outputs are what s makes of p: its outputs or, where every attempt fails, p
// in its Error: state.
func (m *model) outputs(s *modelSeed, p *packet.Packet) (ok bool, out []packet.Packet) {
	depth, _ := strconv.Atoi(p.Data)
	f := s.fate(p.ID, depth)
	ok = f.fails <= s.Retries
	if ok || m.spill {
		for i, state := range f.gives {
			out = append(out, packet.Packet{ID: packet.RunID(packet.KeyOf(string(s.Name)), p.Round(), p.ID).Output(uint64(i)), State: state, Data: strconv.Itoa(depth - 1), DeadLetters: p.DeadLetters})
		}
	}
	if !ok {
		out = append(out, packet.Packet{ID: p.ID, State: packet.ErrorState(string(s.Name)), Data: p.Data, DeadLetters: p.DeadLetters + 1})
	}
	return ok, out
}

// due says what of a frame's packets neither ended nor lies in the store.
func (m *model) due(rec *recorder) func(store.Queue, []packet.Packet) string {
	return func(at store.Queue, ps []packet.Packet) string {
		m.mu.Lock()
		defer m.mu.Unlock()
		for i := range ps {
			p := &ps[i]
			name, inbox := at.Seed()
			done := m.placed(rec, p)
			if inbox {
				// What only a seed took that was removed waits under its state.
				done = rec.lies[spot{at, p.ID}] > 0 || m.complete(rec, m.seed(name), p) || rec.lies[spot{store.Waiting(p.State), p.ID}] > 0
			}
			if !done {
				return fmt.Sprintf("a frame of %s was acknowledged before all had ended or been stored that descends from its packet %s (attempt %d)", at, p.ID, p.Attempt)
			}
		}
		return ""
	}
}

func (m *model) seed(name seed.Name) *modelSeed {
	for _, s := range m.seeds {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// complete tells whether s has run p and all that this gave is placed.
func (m *model) complete(rec *recorder, s *modelSeed, p *packet.Packet) bool {
	ok, children := m.outputs(s, p)
	if ok && m.runs[ranOn{s.Name, p.ID}] == 0 {
		return false
	}
	for i := range children {
		if !m.placed(rec, &children[i]) {
			return false
		}
	}
	return true
}

// placed tells whether p lies in the store or has ended, for each seed that
// takes it.
func (m *model) placed(rec *recorder, p *packet.Packet) bool {
	if rec.lies[spot{store.Waiting(p.State), p.ID}] > 0 {
		return true
	}
	to := m.accepts(p)
	for _, s := range to {
		if rec.lies[spot{store.Inbox(s.Name), p.ID}] <= 0 && !m.complete(rec, s, p) {
			return false
		}
	}
	return len(to) > 0
}
