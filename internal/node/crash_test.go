package node

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/recap/pumpkin/packet"
)

// TestAbruptEnds ends a node again and again at any moment, by its context or
// as the death of its process would, and starts another on what the store then
// holds: in the end every packet has got to every seed that it is for, under
// the id that it would have had anyway, and nothing else has.
func TestAbruptEnds(t *testing.T) {
	const ends = 5 // fewer deliveries than make a packet a failure
	eachNetwork(t, 7, func(t *testing.T, rnd *rand.Rand) {
		tr := newTrial(rnd, 60)
		tr.rec.hurry = true
		tr.spill = rnd.IntN(2) == 0
		tr.want = outcome{runs: map[ranOn]int{}, waits: map[waitsAt]int{}}
		for i := range tr.roots {
			tr.expect(&tr.want, &tr.roots[i])
		}
		left := slices.Clone(tr.roots)
		for range ends {
			n := tr.node(t, []Durability{Memory, Disk}[rnd.IntN(2)])
			end := running(t, n)
			some := left[:rnd.IntN(len(left)+1)]
			injected := make(chan error, 1)
			go func() { injected <- inject(context.Background(), n, some) }()
			if rnd.IntN(2) == 0 {
				tr.host(t, n, true)
			}
			// Any moment will do.
			time.Sleep(time.Duration(rnd.IntN(25_000)) * time.Microsecond)
			switch rnd.IntN(3) {
			case 0:
				end()
			case 1: // in the middle of a drain
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(5))*time.Millisecond)
				n.Drain(ctx) // whether it got to its end or not
				cancel()
				end()
			default:
				tr.rec.kill()
				end()
				tr.rec.revive()
			}
			if <-injected == nil {
				left = left[len(some):] // otherwise who sent them sends them again
			}
		}
		n := tr.node(t, Memory)
		end := running(t, n)
		defer end()
		tr.host(t, n, true)
		if err := inject(t.Context(), n, left); err != nil {
			t.Fatal(err)
		}
		finish(t, n)
		end()
		compare(t, "runs", tr.runs, tr.want.runs, false)
		compare(t, "waiting", tr.waits(t), tr.want.waits, false)
		tr.check(t)
	})
}

// TestADeadNodeEndsNoFrame has a node die before anything was run: all of it
// comes again.
func TestADeadNodeEndsNoFrame(t *testing.T) {
	tr := newTrial(rand.New(rand.NewPCG(1, 0)), 50)
	tr.rec.hurry = true
	dead := tr.node(t, Disk)
	endDead := running(t, dead)
	if err := inject(t.Context(), dead, tr.roots); err != nil {
		t.Fatal(err)
	}
	tr.rec.kill()
	endDead()
	if err := dead.Inject(t.Context(), packet.Packet{State: "T:S0", Data: "0"}); err == nil {
		t.Error("a dead node took a packet")
	}
	tr.rec.revive()
	before := maps.Clone(tr.runs)
	n := tr.node(t, Memory)
	end := running(t, n)
	defer end()
	tr.host(t, n, true)
	finish(t, n)
	end()
	compare(t, "runs", tr.runs, tr.want.runs, false)
	for r := range before {
		if tr.want.runs[r] == 0 {
			t.Errorf("%v ran, which the oracle does not have", r)
		}
	}
	tr.check(t)
}
