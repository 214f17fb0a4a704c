package dtn_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// thousand is a network of 1,000 seeds and 1,000 states; every tenth seed is
// an injector, the others take and give one to three states.
func thousand() []dtn.Hosted {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(most int) (states []packet.State) {
		for range 1 + random.IntN(most) {
			states = append(states, packet.State(fmt.Sprintf("Type:STATE-%d", random.IntN(1000))))
		}
		return states
	}
	var hosted []dtn.Hosted
	for i := range 1000 {
		c := seed.Contract{Out: pick(3)}
		if i%10 > 0 {
			c.In = pick(3)
		}
		name := seed.Name(fmt.Sprintf("seed-%d", i))
		hosted = append(hosted, dtn.Hosted{Node: "n1", Manifest: seed.Manifest{Name: name, Contract: c}})
	}
	return hosted
}

func BenchmarkNew(b *testing.B) {
	hosted := thousand()
	b.ReportAllocs()
	for b.Loop() {
		dtn.New(hosted)
	}
}

func BenchmarkFindings(b *testing.B) {
	n := dtn.New(thousand())
	b.ReportAllocs()
	for b.Loop() {
		n.Findings()
	}
}

func BenchmarkRoutes(b *testing.B) {
	n := dtn.New(thousand())
	s := n.States()[500]
	b.ReportAllocs()
	for b.Loop() {
		n.Routes(s)
	}
}

func BenchmarkToward(b *testing.B) {
	n := dtn.New(thousand())
	goal, s := n.States()[700], n.States()[500]
	b.ReportAllocs()
	for b.Loop() {
		n.Toward(goal, s)
	}
}

func BenchmarkWays(b *testing.B) {
	n := dtn.New(thousand())
	from, to := n.States()[500], n.States()[700]
	b.ReportAllocs()
	for b.Loop() {
		n.Ways(from, to, 10)
	}
}
