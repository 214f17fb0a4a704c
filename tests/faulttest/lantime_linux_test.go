package faulttest

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/tests/faulttest/lan"
)

const (
	// What is promised: a packet of a node goes to a seed of another that has
	// just been started within a second, the death of a process is known within
	// one, and a cut cable within ten.
	firstPromise, deathPromise, cutPromise = time.Second, time.Second, 10 * time.Second
	// slack is by how much a machine that has much else to do may be late: the
	// figures are printed.
	slack = 5
)

// TestLANTimes measures how soon nodes know of each other, and miss each other.
func TestLANTimes(t *testing.T) {
	r := newTeam(t, "times", extractor(lan.Left), worker(lan.Right))
	here, there := r.members[0], r.members[1]
	r.start(here)
	var first, death, cut []time.Duration
	for range 3 * factor(t) {
		// It is acknowledged and waits: no seed accepts it.
		p := farPacket(drawID(r.rand), r.rand)
		p.State = "String:RAW"
		here.put(p)
		begun := time.Now()
		there.launch()
		testenv.Eventually(t, meetTime, "the packet arrives", func() bool {
			r.read(t)
			_, ok := r.tally.as[p.ID]
			return ok
		})
		first = append(first, time.Since(begun))
		there.up()
		r.together(here, there)
		death = append(death, here.misses(there, func() { there.node.kill() }))

		r.start(there)
		r.together(here, there)
		cut = append(cut, here.misses(there, func() { there.host.Unplug() }))
		there.host.Plug()
		r.together(here, there)
		there.kill()
	}
	r.start(there)
	r.finish(len(first))
	for _, m := range []struct {
		what    string
		took    []time.Duration
		promise time.Duration
	}{
		{"start to first packet", first, firstPromise},
		{"a dead process is missed", death, deathPromise},
		{"a cut cable is missed", cut, cutPromise},
	} {
		slices.Sort(m.took)
		middle, worst := m.took[len(m.took)/2], m.took[len(m.took)-1]
		fmt.Printf("  %-26s best %s  median %s  worst %s  (asked: %s)\n", m.what, short(m.took[0]), short(middle), short(worst), short(m.promise))
		if middle > slack*m.promise {
			t.Errorf("%s: median %v; asked is %v, and %d times that is let pass", m.what, middle, m.promise, slack)
		}
	}
}

// put sends one packet to the node, which has to take it.
func (m *member) put(p api.Sending) {
	m.team.t.Helper()
	if m.feed == nil {
		m.feed = newFeed(0)
	}
	one := []api.Sending{p}
	_, err := m.node.client.SendMany(m.team.t.Context(), func() (api.Sending, error) {
		if len(one) == 0 {
			return api.Sending{}, io.EOF
		}
		p := one[0]
		one = nil
		return p, nil
	})
	if err != nil {
		m.team.t.Fatalf("send to %s: %v", m.title, err)
	}
	m.feed.change(func() { m.feed.all[p.ID] = sent{acked: true} })
}

// misses does something to another member, and tells how long it takes until the
// node says that the other's is gone.
func (m *member) misses(other *member, what func()) time.Duration {
	m.team.t.Helper()
	line := "node " + other.name + " has gone"
	before := strings.Count(m.said(), line)
	begun := time.Now()
	what()
	testenv.Eventually(m.team.t, slack*cutPromise, other.title+" is missed", func() bool {
		return strings.Count(m.said(), line) > before
	})
	return time.Since(begun)
}

// TestLANOneFolder gives two nodes one data folder: the second says so and ends,
// and the first goes on.
func TestLANOneFolder(t *testing.T) {
	r := newTeam(t, "one data folder", both(lan.Left), extractor(lan.Left), extractor(lan.Right))
	first, second, third := r.members[0], r.members[1], r.members[2]
	r.start(first, third)
	data := slices.Index(second.args, "--data") + 1
	second.args[data] = first.args[slices.Index(first.args, "--data")+1]
	end := r.load()
	rounds := 2 * factor(t)
	for range rounds {
		r.moment()
		second.launch()
		select {
		case <-second.node.ended:
		case <-time.After(meetTime):
			t.Fatal("a second node on one data folder does not end")
		}
		want := fmt.Sprintf("%s is in use by process %d", second.args[data], first.node.cmd.Process.Pid)
		if state, said := second.node.cmd.ProcessState, second.said(); state.ExitCode() <= 0 || !strings.Contains(said, want) {
			t.Errorf("the second ended with %v and said %q; expected a failure that says %q", state, tail(said, 500), want)
		}
		r.heal(first, third)
	}
	end()
	r.finish(rounds)
}
