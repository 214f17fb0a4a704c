package draw

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// large is a network of many seeds, each taking and giving one to three of as
// many states: one tangle, or as good as.
func large(seeds int) *dtn.Network {
	random := rand.New(rand.NewPCG(3, 4))
	pick := func() (states []packet.State) {
		for range 1 + random.IntN(3) {
			states = append(states, packet.State(fmt.Sprintf("Type:STATE-%d", random.IntN(seeds))))
		}
		return states
	}
	var hosted []dtn.Hosted
	for i := range seeds {
		m := seed.Manifest{Name: seed.Name(fmt.Sprintf("seed-%d", i)), Contract: seed.Contract{In: pick(), Out: pick()}}
		hosted = append(hosted, dtn.Hosted{Node: "n", Manifest: m})
	}
	return dtn.New(hosted)
}

// TestLarge: every seed of a network that is too large to be drawn is still
// to be found, and every form ends.
func TestLarge(t *testing.T) {
	n := large(1000)
	for name, form := range forms() {
		var out bytes.Buffer
		if err := form(&out, n); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range n.Seeds() {
			if !bytes.Contains(out.Bytes(), []byte(want)) {
				t.Errorf("%s: no %s", name, want)
			}
		}
	}
}

func forms() map[string]func(io.Writer, *dtn.Network) error {
	return map[string]func(io.Writer, *dtn.Network) error{
		"text":    func(w io.Writer, n *dtn.Network) error { return Text(w, n, 120, false) },
		"svg":     SVG,
		"dot":     DOT,
		"mermaid": Mermaid,
		"json":    JSON,
	}
}

func BenchmarkText(b *testing.B) {
	for _, size := range []int{20, 100, 300, 1000} {
		n := large(size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				if err := Text(io.Discard, n, 120, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSVG(b *testing.B) {
	for _, size := range []int{20, 100, 300, 1000} {
		n := large(size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				if err := SVG(io.Discard, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
