package predict

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A work is what packets of a size really take, with noise, in nanoseconds.
type work func(r *rand.Rand, bytes float64) float64

// line is work of a cost a packet and a cost a byte, whose measurements scatter
// by noise, a part of it.
func line(packet, byte, noise float64) work {
	return func(r *rand.Rand, bytes float64) float64 {
		return (packet + byte*bytes) * math.Exp(noise*r.NormFloat64())
	}
}

// paused is work that takes some measurements so many times as long: the machine
// had other things to do.
func paused(w work, part, times float64) work {
	return func(r *rand.Rand, bytes float64) float64 {
		d := w(r, bytes)
		if r.Float64() < part {
			d *= times
		}
		return d
	}
}

// anySize is from 10 bytes to 1 MB, of each order of magnitude as many.
func anySize(r *rand.Rand) float64 { return math.Floor(10 * math.Pow(10, 5*r.Float64())) }

func teach(m *Model, r *rand.Rand, n int, w work, size func(*rand.Rand) float64) {
	for range n {
		bytes := size(r)
		m.Add(time.Duration(w(r, bytes)), 1, int64(bytes))
	}
}

// within fails unless got is want, give or take a part.
func within(t *testing.T, what string, got, want, part float64) {
	t.Helper()
	if math.Abs(got-want) > part*want {
		t.Errorf("%s: %.4g, want %.4g ± %.0f %%", what, got, want, 100*part)
	}
}

// TestTheLineIsFound whatever of the two costs is the greater, and although some
// measurements are far off.
func TestTheLineIsFound(t *testing.T) {
	for _, c := range []struct {
		name string
		w    work
		a, b float64
		part float64
	}{
		{"a function", line(500, 1, 0.1), 500, 1, 0.15},
		{"a process", line(2e6, 3, 0.1), 2e6, 3, 0.15},
		{"a process and pauses", paused(line(2e6, 3, 0.1), 0.05, 50), 2e6, 3, 0.2},
		{"a copy of the data", line(200, 0.05, 0.2), 200, 0.05, 0.3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m Model
			r := rand.New(rand.NewPCG(1, 2))
			teach(&m, r, 1000, c.w, anySize)
			l := m.Line()
			for _, bytes := range []float64{10, 1e3, 1e5, 1e6} {
				within(t, "cost", float64(l.Cost(bytes)), c.a+c.b*bytes, c.part)
			}
			if l.Error < 0.02 || l.Error > 0.25 {
				t.Errorf("the error is said to be %.3f", l.Error)
			}
		})
	}
}

// TestTheErrorIsTheMedian of what predictions are off.
func TestTheErrorIsTheMedian(t *testing.T) {
	for _, noise := range []float64{0.05, 0.2, 0.5} {
		var m Model
		r := rand.New(rand.NewPCG(3, 4))
		teach(&m, r, 200, line(1000, 1, noise), anySize)
		var sum float64
		const n = 2000
		for range n {
			teach(&m, r, 1, line(1000, 1, noise), anySize)
			sum += m.Line().Error
		}
		// The median of |N(0, s)| is 0.674 s.
		within(t, "error", sum/n, 0.674*noise, 0.35)
	}
}

// TestOneSize: where all packets have one size the cost is theirs, and a slope
// that was learned before stays.
func TestOneSize(t *testing.T) {
	var m Model
	r := rand.New(rand.NewPCG(5, 6))
	same := func(*rand.Rand) float64 { return 128 }
	teach(&m, r, 500, line(1000, 2, 0.1), same)
	within(t, "cost of 128 bytes", float64(m.Line().Cost(128)), 1256, 0.1)

	teach(&m, r, 500, line(1000, 2, 0.1), anySize)
	teach(&m, r, 2000, line(1000, 2, 0.1), same)
	within(t, "cost of 128 bytes", float64(m.Line().Cost(128)), 1256, 0.1)
	within(t, "cost of 1 MB", float64(m.Line().Cost(1e6)), 2e6, 0.5)
}

// TestAChangeIsLearned within a few measurements, up and down.
func TestAChangeIsLearned(t *testing.T) {
	var m Model
	r := rand.New(rand.NewPCG(7, 8))
	teach(&m, r, 500, line(1000, 1, 0.1), anySize)
	for _, c := range []struct{ a, b float64 }{{1e6, 1e3}, {1000, 1}, {5000, 5}} {
		teach(&m, r, 40, line(c.a, c.b, 0.1), anySize)
		for _, bytes := range []float64{10, 1e4, 1e6} {
			within(t, "cost after a change", float64(m.Line().Cost(bytes)), c.a+c.b*bytes, 0.4)
		}
	}
}

// TestWorkCountsOutliers: what few packets take beyond the rule adds up.
func TestWorkCountsOutliers(t *testing.T) {
	for _, c := range []struct{ part, times float64 }{{0.1, 20}, {0.01, 50}, {0, 1}} {
		var m Model
		r := rand.New(rand.NewPCG(9, 10))
		w := paused(line(1e4, 0, 0.1), c.part, c.times)
		teach(&m, r, 1000, w, anySize)
		const n = 2000
		var sum, took float64
		for range n {
			teach(&m, r, 1, w, anySize)
			sum += float64(m.Line().Work(n, 1e5*n))
			took += w(r, 1e5)
		}
		within(t, "work", sum/n, took, 0.3)
	}
}

// TestNothingIsKnown, and what cannot be measured is left out.
func TestNothingIsKnown(t *testing.T) {
	var m Model
	m.Add(time.Second, 0, 0)
	if l := m.Line(); l.Known() || l.Cost(10) != 0 || l.Work(10, 10) != 0 {
		t.Errorf("of nothing it knows %+v", l)
	}
	for _, d := range []time.Duration{0, -1, math.MaxInt64, 1} {
		m.Add(d, 1, math.MaxInt64)
		l := m.Line()
		for _, v := range []float64{l.Packet, l.Byte, l.Bytes, l.Mean, l.Error} {
			if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
				t.Fatalf("after %v: %+v", d, l)
			}
		}
		if l.Work(math.MaxInt, math.MaxInt64) < 0 {
			t.Fatalf("after %v: work below nothing", d)
		}
	}
}

// TestNoAllocation: learning takes no memory.
func TestNoAllocation(t *testing.T) {
	var m Model
	if n := testing.AllocsPerRun(100, func() { m.Add(1000, 3, 300) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	var m Model
	for b.Loop() {
		m.Add(1000, 3, 300)
	}
}
