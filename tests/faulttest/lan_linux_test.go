package faulttest

import (
	"testing"
	"time"

	"github.com/recap/pumpkin/tests/faulttest/lan"
)

// A lanFault is what a network of nodes is to survive without the loss of a
// packet.
type lanFault struct {
	name   string
	rounds int
	roles  []role
	waits  bool // more than it works: it runs beside others of that kind
	// strike does it and undoes it, at a random moment of the round of that
	// number. Afterwards all nodes run.
	strike func(r *team, round int)
}

func lanFaults() []lanFault {
	between := []role{
		sender(lan.Left), worker(lan.Left).with("--durability", "none"), worker(lan.Right).with("--durability", "none"),
		extractor(lan.Right),
	}
	return []lanFault{
		{name: "none", rounds: 1, roles: company(), strike: func(*team, int) {}},
		{name: "kill -9 of nodes", rounds: 6, roles: company(), strike: killMembers},
		{name: "cables pulled", rounds: 4, roles: company(), waits: true, strike: pullCable},
		{name: "two halves", rounds: 2, roles: company(), waits: true, strike: partHalves},
		{name: "weaker between", rounds: 4, roles: between, strike: killWeaker},
		{name: "large data", rounds: 2, roles: between, strike: killWeaker},
	}
}

// TestLANFaults strikes a network of nodes under load, again and again: what any
// of them acknowledged arrives, and when the fault is over the network is one
// again.
func TestLANFaults(t *testing.T) {
	for _, f := range lanFaults() {
		t.Run(f.name, func(t *testing.T) {
			if f.waits {
				t.Parallel()
			}
			r := newTeam(t, f.name, f.roles...)
			if f.name == "large data" {
				r.enlarge()
			}
			r.start(r.members...)
			r.together(r.members...)
			end := r.load()
			rounds := f.rounds * factor(t)
			for i := range rounds {
				r.moment()
				f.strike(r, i)
				r.heal(r.members...)
			}
			end()
			r.finish(rounds)
		})
	}
}

// some draws so many members.
func (r *team) some(count int) []*member {
	var drawn []*member
	for _, i := range r.rand.Perm(len(r.members))[:count] {
		drawn = append(drawn, r.members[i])
	}
	return drawn
}

// killMembers kills one node or two, which stay away for a moment.
func killMembers(r *team, _ int) {
	victims := r.some(1 + r.rand.IntN(2))
	for _, m := range victims {
		m.kill()
	}
	time.Sleep(time.Duration(r.rand.IntN(1500)) * time.Millisecond) // that long they are away
	r.start(victims...)
}

// killWeaker kills a node that keeps nothing on disk. Its name is another when it
// comes back.
func killWeaker(r *team, _ int) {
	m := r.members[1+r.rand.IntN(2)]
	m.kill()
	r.start(m)
}

// pullCable takes a node off the network for a second, and every fourth time for
// longer than others wait for it; with many rounds, for a minute as well.
func pullCable(r *team, round int) {
	m := r.some(1)[0]
	away := time.Second
	switch {
	case round%40 == 39:
		away = time.Minute
	case round%4 == 3:
		away = 10 * time.Second
	}
	m.host.Unplug()
	time.Sleep(away) // that long it is away
	m.host.Plug()
}

// partHalves parts the network until each half works by itself, and has everything
// arrive before they are joined again.
func partHalves(r *team, _ int) {
	r.lan.Part()
	halves := map[lan.Half][]*member{}
	for _, m := range r.members {
		halves[m.half] = append(halves[m.half], m)
	}
	r.together(halves[lan.Left]...)
	r.together(halves[lan.Right]...)
	r.spend()
	r.allow(teamQuota / 2)
	r.spend()
	if !r.drain() {
		r.tellWaiting()
		r.t.Fatalf("the halves do not work by themselves: for %v nothing arrives, and packets are missing", patience)
	}
	r.allow(teamQuota / 2) // some are under way when they are joined
	r.lan.Join()
}
