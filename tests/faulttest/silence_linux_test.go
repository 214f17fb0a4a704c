package faulttest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/tests/faulttest/lan"
)

// stood is for how long a node stands still or is away: longer than others wait until
// they miss it.
const stood = 8 * time.Second

// TestSilenceIsNotDeath: the runs that a node has begun are not run a second time
// because nothing is heard of it, or of the node whose packets they are, for a while.
func TestSilenceIsNotDeath(t *testing.T) {
	for _, c := range []struct {
		name   string
		strike func(owner, worker *member)
	}{
		{"the one that runs stands still", func(_, worker *member) { worker.standStill() }},
		{"the owner stands still", func(owner, _ *member) { owner.standStill() }},
		{"a cable is pulled", func(_, worker *member) {
			worker.host.Unplug()
			time.Sleep(stood)
			worker.host.Plug()
		}},
		{"a cable has a bad contact", func(_, worker *member) {
			for range 3 {
				worker.host.Unplug()
				time.Sleep(stood)
				worker.host.Plug()
				time.Sleep(stood / 2)
			}
		}},
		{"the owner is killed", func(owner, _ *member) {
			owner.kill()
			owner.team.start(owner)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const attempts = 3
			for n := range attempts {
				inTime := true
				t.Run(fmt.Sprint("attempt ", n+1), func(t *testing.T) { inTime = silent(t, c.name, c.strike) })
				if inTime {
					return
				}
			}
			t.Errorf("in each of %d attempts the owner gave up what it had leased: the other node was silent for longer than it may be", attempts)
		})
	}
}

// silent strikes while runs go on, and expects each to be run once. What an owner promises
// has a bound: on a machine that is too busy the other node may not speak in time, and the
// owner says that it waits no longer. Then nothing is expected, and inTime is false.
func silent(t *testing.T, name string, strike func(owner, worker *member)) (inTime bool) {
	const packets, workers = 6, 2
	r := newTeam(t, "silence: "+name, extractor(lan.Left), extractor(lan.Right))
	owner, worker := r.members[0], r.members[1]
	runs := worker.slowSeed(workers, 3*time.Second)
	r.start(owner, worker)
	r.together(owner, worker)
	for range packets {
		id := drawID(r.rand)
		owner.put(api.Sending{ID: id, State: "String:SLOW", Data: []byte(dataOf(id))})
	}
	testenv.Eventually(t, meetTime, "runs have begun", func() bool { return len(runs("begin")) >= workers })
	strike(owner, worker)
	testenv.Eventually(t, 2*time.Minute, "all have run", func() bool { return len(runs("end")) >= packets })
	r.together(owner, worker)
	testenv.Eventually(t, 2*time.Minute, "nothing is left at the owner", func() bool {
		st, err := owner.node.status()
		if err != nil {
			return false
		}
		for _, i := range st.Inboxes {
			if i.Seed == "slow" {
				return false
			}
		}
		return true
	})
	if strings.Contains(owner.said(), "was silent for too long") {
		t.Log("the other node did not speak in time: once more")
		return false
	}
	begun := map[packet.ID]int{}
	for _, id := range runs("begin") {
		begun[id]++
	}
	for id, n := range begun {
		if n > 1 {
			t.Errorf("packet %s was run %d times", id, n)
		}
	}
	if len(begun) != packets {
		t.Errorf("%d packets were run; expected %d", len(begun), packets)
	}
	r.finish(1)
	return true
}

// standStill stops a node for a while. What it has started goes on.
func (m *member) standStill() {
	m.node.signal(m.team.t, syscall.SIGSTOP)
	time.Sleep(stood)
	m.node.signal(m.team.t, syscall.SIGCONT)
}

// slowSeed gives the node a seed that takes so long for each packet. runs gives the
// packets that it has begun, or ended, with, each as often as it did.
func (m *member) slowSeed(workers int, takes time.Duration) (runs func(what string) []packet.ID) {
	t := m.team.t
	file, notes := filepath.Join(m.dir, "slow.sh"), filepath.Join(m.dir, "runs")
	text := fmt.Sprintf("#!/bin/sh\n# pmk: String:SLOW -> String:DONE\n# pmk-workers: %d\necho begin $PMK_ID >>%s\ndata=$(cat)\nsleep %g\nprintf %%s \"$data\"\necho end $PMK_ID >>%s\n", workers, notes, takes.Seconds(), notes)
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	m.args, m.seeds = append(m.args, file), m.seeds+1
	return func(what string) (ids []packet.ID) {
		text, err := os.ReadFile(notes)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			word, id, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if !ok || word != what {
				continue
			}
			parsed, err := packet.ParseID(id)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, parsed)
		}
		return ids
	}
}
