package predict

import (
	"testing"
	"time"
)

func TestDrainOf(t *testing.T) {
	slow := Line{Packet: 1e6, Byte: 10, Mean: 1, Error: 0.2, Measured: 9}
	fast := Line{Packet: 5e5, Byte: 5, Mean: 1, Error: 0.1, Measured: 9}
	for _, c := range []struct {
		name     string
		packets  int
		bytes    int64
		replicas []Replica
		want     time.Duration
	}{
		{"nothing", 0, 0, []Replica{{slow, 1}}, 0},
		{"nobody", 10, 0, nil, 0},
		{"nobody knows", 10, 0, []Replica{{Line{}, 4}}, 0},
		{"no worker", 10, 0, []Replica{{slow, 0}}, 0},
		{"one", 1000, 0, []Replica{{slow, 1}}, time.Second},
		{"two workers", 1000, 0, []Replica{{slow, 2}}, time.Second / 2},
		{"with data", 1000, 1e8, []Replica{{slow, 1}}, 2 * time.Second},
		{"a replica that is twice as fast", 3000, 0, []Replica{{slow, 1}, {fast, 1}}, time.Second},
	} {
		d := DrainOf(c.packets, c.bytes, c.replicas)
		if diff := d.Time - c.want; diff < -time.Microsecond || diff > time.Microsecond {
			t.Errorf("%s: %v, want %v", c.name, d.Time, c.want)
		}
		if (d.Time > 0) != (d.Error > 0) || d.Error > 0.2 {
			t.Errorf("%s: its error is said to be %v", c.name, d.Error)
		}
	}
}

func TestBacklog(t *testing.T) {
	base := time.Unix(1e9, 0)
	for _, c := range []struct {
		name  string
		sizes []int // one a look, each packet takes 10 ms
		want  string
	}{
		{"steady", []int{5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000}, "........"},
		{"growing", []int{1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000}, "......B="},
		{"small", []int{1, 2, 3, 4, 5, 6, 7, 8}, "........"},
		{"a burst", []int{0, 9000, 8000, 7000, 6000, 5000, 4000, 3000}, "........"},
		{"growing, then over", []int{1000, 2000, 3000, 4000, 5000, 6000, 7000, 9000, 5000, 3000, 0, 0}, "......B==..."},
		{"growing, then gone", []int{1000, 2000, 3000, 4000, 5000, 6000, 7000, 0}, "......B."},
	} {
		var b Backlog
		var got []byte
		was := false
		for i, size := range c.sizes {
			behind, news := b.Look(base.Add(time.Duration(i)*LookEvery), size, time.Duration(size)*10*time.Millisecond)
			if news != (behind.Is() != was) {
				t.Errorf("%s: look %d is news: %v", c.name, i, news)
			}
			was = behind.Is()
			switch {
			case was && news:
				got = append(got, 'B')
			case was:
				got = append(got, '=')
			default:
				got = append(got, '.')
			}
			if behind.Is() && behind.Packets != size {
				t.Errorf("%s: look %d: %+v", c.name, i, behind)
			}
		}
		if string(got) != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
