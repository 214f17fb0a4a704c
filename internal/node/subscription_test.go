package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

func contract(t *testing.T, text string) seed.Contract {
	t.Helper()
	c, err := seed.ParseContract(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSubscriptions are the rules alone.
func TestSubscriptions(t *testing.T) {
	takes, other := contract(t, "T:A ->"), contract(t, "T:B ->")
	onB, onC := subKey{"work", "b"}, subKey{"work", "c"}
	known := func(removed bool, number uint64) mesh.Known {
		return mesh.Known{Seed: "work", Node: "b", Contract: takes, Number: number, Removed: removed}
	}
	fresh := func() subscriptions {
		subs := subscriptions{}
		subs.put(onB, takes)
		return subs
	}
	runs := func(node string, c seed.Contract) []dtn.Hosted {
		return []dtn.Hosted{{Node: node, Manifest: seed.Manifest{Name: "work", Contract: c}}}
	}
	accepts := func(subs subscriptions) bool { return subs.away(nil)["work"] != nil }

	t.Run("the higher number holds", func(t *testing.T) {
		subs := fresh()
		subs.merge([]mesh.Known{known(true, 2)})
		if accepts(subs) {
			t.Error("it accepts though it was removed")
		}
		if changed := subs.merge([]mesh.Known{known(false, 1), known(false, 2)}); len(changed) > 0 || accepts(subs) {
			t.Errorf("what is older, or as old, changed %v", changed)
		}
		if subs.put(onB, takes); subs[onB].Number != 3 || !accepts(subs) {
			t.Errorf("hosted again it is %+v", subs[onB])
		}
	})
	t.Run("an unknown seed is not removed", func(t *testing.T) {
		subs := subscriptions{}
		if changed := subs.merge([]mesh.Known{known(true, 9)}); len(changed) > 0 {
			t.Errorf("it changed %v", changed)
		}
	})
	t.Run("the order of meeting does not count", func(t *testing.T) {
		said := []mesh.Known{known(false, 3), known(true, 4), known(false, 1)}
		for range 6 {
			subs := subscriptions{}
			for range 2 {
				subs.merge(said)
			}
			if accepts(subs) || subs[onB].Number != 4 {
				t.Errorf("of %v comes %+v", said, subs[onB])
			}
			said = append(said[1:], said[0])
		}
	})
	t.Run("every host removes it", func(t *testing.T) {
		subs := fresh()
		subs.put(onC, takes)
		if subs.remove(onB); !accepts(subs) {
			t.Error("one host is left")
		}
		if subs.remove(onC); accepts(subs) {
			t.Error("no host is left")
		}
	})
	t.Run("a new contract takes the name", func(t *testing.T) {
		subs := fresh()
		if subs.observe(runs("c", takes)); subs[onB].Removed {
			t.Error("a replica removed it")
		}
		if subs.observe(runs("c", other)); !subs[onB].Removed {
			t.Error("it stays beside another contract")
		}
	})
	t.Run("time passes while it is away", func(t *testing.T) {
		subs := fresh()
		subs.observe(runs("b", takes))
		if subs.pass(time.Hour, time.Minute); subs[onB].away > 0 {
			t.Error("it counts while it runs")
		}
		subs.observe(nil)
		subs.pass(30*time.Second, time.Minute)
		if ended, _ := subs.pass(20*time.Second, time.Minute); len(ended) > 0 {
			t.Error("it ended early")
		}
		if ended, _ := subs.pass(20*time.Second, time.Minute); !slices.Equal(ended, []subKey{onB}) || accepts(subs) {
			t.Errorf("these ended: %v", ended)
		}
		if subs.pass(time.Minute, time.Minute); len(subs) > 0 {
			t.Error("what has ended is never forgotten")
		}
	})
}

// again starts a node of the same name and store, after the old one has ended.
func (c *circle) again(old *world, host ...func(w *world) seed.Manifest) *world {
	c.t.Helper()
	for _, other := range c.nodes {
		if other != old {
			c.part(old, other)
		}
	}
	old.end()
	w := &world{t: c.t, fns: map[string]gofn.Func{}}
	cfg := old.cfg
	cfg.Kinds = w.kinds()
	w.Node = New(cfg)
	w.Recall()
	for _, seed := range host {
		w.host(seed(w))
	}
	w.start()
	testenv.Eventually(c.t, 10*time.Second, "the node runs", w.Started)
	c.nodes[slices.Index(c.nodes, old)] = w
	return w
}

func takes(name, contract string, into *basket) func(w *world) seed.Manifest {
	return func(w *world) seed.Manifest { return w.seed(name, contract, into.run) }
}

func awaySeeds(w *world) (names []seed.Name) {
	for _, a := range w.Away() {
		names = append(names, a.Seed)
	}
	return names
}

func awaits(t *testing.T, w *world, names ...seed.Name) {
	t.Helper()
	testenv.Eventually(t, 20*time.Second, fmt.Sprintf("%v are away for %s", names, w.Name()), func() bool { return slices.Equal(awaySeeds(w), names) })
}

// TestAHostThatRestarts in the middle of a stream: the other seed that takes the state
// has its packets at once, and this one when it is back.
func TestAHostThatRestarts(t *testing.T) {
	t.Parallel()
	for _, d := range []Durability{None, Memory, Disk} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			c := newCircle(t)
			a, b := c.node("a", d), c.node("b", Disk)
			var near, far basket
			a.host(a.seed("near", "T:A ->", near.run))
			b.host(takes("archive", "T:A ->", &far)(b))
			c.meet(a, b)
			testenv.Eventually(t, 10*time.Second, "a knows the archive", func() bool { return a.snap.Load().hosted("archive") })
			stop, sent := make(chan struct{}), make(chan int, 1)
			go func() {
				count := 0
				defer func() { sent <- count }()
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond): // a pace that both can keep
					}
					if err := a.Inject(context.Background(), packet.Packet{State: "T:A", Data: fmt.Sprint(count)}); err != nil {
						t.Error(err)
						return
					}
					count++
				}
			}()
			for range 3 {
				seen := near.count()
				testenv.Eventually(t, 10*time.Second, "packets flow", func() bool { return near.count() > seen+10 })
				b = c.again(b, takes("archive", "T:A ->", &far))
				awaits(t, a, "archive")
				seen = near.count()
				testenv.Eventually(t, 10*time.Second, "packets flow while it is away", func() bool { return near.count() > seen+10 })
				c.meet(a, b)
				awaits(t, a)
			}
			close(stop)
			total := <-sent
			testenv.Eventually(t, 30*time.Second, "both have all", func() bool { return distinct(&near) == total && distinct(&far) == total })
			c.rests(20 * time.Second)
		})
	}
}

// distinct counts the packets in a basket; one may have come twice.
func distinct(b *basket) int { return len(slices.Compact(b.data())) }

// TestANodeKnowsItsSeedsBeforeTheyAreLoaded: what comes meanwhile is for all of them.
func TestANodeKnowsItsSeedsBeforeTheyAreLoaded(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	var left, right, far basket
	hosts := []func(*world) seed.Manifest{takes("left", "T:A ->", &left), takes("right", "T:A ->", &right)}
	for _, seed := range hosts {
		a.host(seed(a))
	}
	b.host(b.seed("far", "T:A ->", far.run))
	c.meet(a, b)
	testenv.Eventually(t, 10*time.Second, "a knows far", func() bool { return a.snap.Load().hosted("far") })
	early := func(w *world) seed.Manifest {
		awaits(t, w, "far", "left", "right")
		for i := range 10 {
			w.inject("T:A", fmt.Sprint(i), nil)
		}
		return hosts[0](w)
	}
	a = c.again(a, early, hosts[1])
	testenv.Eventually(t, 10*time.Second, "both have all", func() bool { return left.count() == 10 && right.count() == 10 })
	awaits(t, a, "far")
	c.meet(a, b)
	testenv.Eventually(t, 10*time.Second, "far has all", func() bool { return far.count() == 10 })
	c.rests(10 * time.Second)
}

// TestARemovedSeed accepts nothing any more, whether it was removed while its node ran or
// was not loaded at the next start; a seed that ends with a node without a disk was never
// known.
func TestARemovedSeed(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, b, m := c.node("a", Disk), c.node("b", Disk), c.node("m", Memory)
	var got basket
	b.host(takes("alone", "T:A ->", &got)(b), takes("two", "T:B ->", &got)(b))
	m.host(m.seed("weak", "T:C ->", got.run))
	c.meet(a, b, m)
	testenv.Eventually(t, 10*time.Second, "a knows all", func() bool { return len(a.snap.Load().net.Seeds()) == 3 })
	c.part(a, m)
	b.Unhost("alone")
	testenv.Eventually(t, 10*time.Second, "a knows that", func() bool { return len(a.snap.Load().net.Seeds()) == 1 })
	b = c.again(b)
	awaits(t, a, "two")
	id := packet.NewID()
	a.inject("T:B", "kept", &packet.Wish{Follow: id})
	if sum, err := a.Ledger(t.Context(), id); err != nil || sum.Live != 0 || sum.Kept["two"] != 1 {
		t.Errorf("who follows it hears %+v, %v", sum, err)
	}
	if st := a.Status(t.Context()); len(st.Away) != 1 || st.Away[0].Packets != 1 || !slices.Equal(st.Away[0].Nodes, []string{"b"}) || len(st.Waiting) != 1 || !strings.Contains(st.Waiting[0].Why, "kept for two, away for") {
		t.Errorf("the status says %+v and %+v", st.Away, st.Waiting)
	}
	awaits(t, b) // it was not told to load it
	c.meet(a, b)
	awaits(t, a)
	testenv.Eventually(t, 10*time.Second, "the packet waits under its state", func() bool { return waitsFor(a, "T:B") == 1 })
	testenv.Eventually(t, 10*time.Second, "who follows it hears that", func() bool {
		sum, err := a.Ledger(t.Context(), id)
		return err == nil && sum.Live == 0 && sum.Waiting["T:B"] == 1
	})
}

// TestForgetSeeds ends what is kept for a seed, or for a node.
func TestForgetSeeds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"two", "b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCircle(t)
			a, b := c.node("a", Disk), c.node("b", Disk)
			var got basket
			hosts := []func(*world) seed.Manifest{takes("one", "T:A ->", &got), takes("two", "T:A | T:B ->", &got)}
			b.host(hosts[0](b), hosts[1](b))
			var near basket
			a.host(a.seed("near", "T:A ->", near.run))
			c.meet(a, b)
			testenv.Eventually(t, 10*time.Second, "a knows all", func() bool { return len(a.snap.Load().net.Seeds()) == 3 })
			if _, err := a.ForgetSeeds(t.Context(), "two"); err == nil {
				t.Error("a seed that runs is given up")
			}
			b = c.again(b, hosts...)
			awaits(t, a, "one", "two")
			id := packet.NewID()
			a.inject("T:A", "copies", &packet.Wish{Follow: id})
			a.inject("T:A", large("copies"), nil)
			a.inject("T:B", "alone", nil)
			out, err := a.ForgetSeeds(t.Context(), name)
			want := Forgotten{Seeds: []seed.Name{"two"}, Routed: 1, Dropped: 2}
			left := []seed.Name{"one"}
			if name == "b" {
				want.Seeds, want.Dropped, left = []seed.Name{"one", "two"}, 4, nil
			}
			if err != nil || !slices.Equal(out.Seeds, want.Seeds) || out.Routed != want.Routed || out.Dropped != want.Dropped {
				t.Errorf("it says %+v, %v; expected %+v", out, err, want)
			}
			awaits(t, a, left...)
			if waitsFor(a, "T:B") != 1 || len(lie(t, a.store, "in.two")) > 0 {
				t.Error("the inbox is not empty, or what only it had does not wait")
			}
			testenv.Eventually(t, 10*time.Second, "who follows it hears that", func() bool {
				sum, err := a.Ledger(t.Context(), id)
				return err == nil && sum.Live == 0 && sum.Kept["two"] == 0
			})
			if _, err := a.ForgetSeeds(t.Context(), "two"); err == nil {
				t.Error("it can be given up twice")
			}
			c.meet(a, b)
			testenv.Eventually(t, 10*time.Second, "they are seeds again", func() bool { return got.count() >= 1 && a.snap.Load().hosted("two") && a.snap.Load().hosted("one") })
			c.rests(10 * time.Second)
		})
	}
}

// TestAwayForTooLong ends a subscription, at every node, and after a restart of the node
// that counted.
func TestAwayForTooLong(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	var got basket
	b.host(takes("work", "T:A ->", &got)(b))
	c.meet(a, b)
	testenv.Eventually(t, 10*time.Second, "a knows it", func() bool { return a.snap.Load().hosted("work") })
	c.part(a, b)
	awaits(t, a, "work")
	a.passAway(DefaultAway - time.Hour)
	a = c.again(a)
	awaits(t, a, "work")
	if away := a.Away()[0]; away.For < DefaultAway-time.Hour || away.Text() != "away for 23 h" {
		t.Errorf("it is %s: %v", away.Text(), away.For)
	}
	a.inject("T:A", "x", nil)
	a.passAway(time.Hour)
	awaits(t, a)
	testenv.Eventually(t, 10*time.Second, "the packet waits under its state", func() bool { return waitsFor(a, "T:A") == 1 })
	c.meet(a, b)
	testenv.Eventually(t, 10*time.Second, "it arrives", func() bool { return got.count() == 1 })
}

// TestATenthOfTheStore is the most that is kept.
func TestATenthOfTheStore(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"small": strings.Repeat("x", 1000), "large": large("x")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCircle(t)
			b := c.node("b", Disk)
			var got, near basket
			a := &world{t: t, fns: map[string]gofn.Func{}}
			blobs := b.cfg.Blobs // any
			s := inMemory(t, pebble.Config{Size: 10 << 20, Beside: func() int64 { return usedBy(&near) }})
			book := &testenv.Journal{}
			a.Node = New(Config{Name: "a", Run: "run", Store: s, Blobs: blobs, Durability: Memory, Kinds: a.kinds(), Log: book.Log()})
			a.start()
			c.nodes = append(c.nodes, a)
			a.host(a.seed("near", "T:A ->", near.run))
			b.host(b.seed("archive", "T:A ->", got.run))
			c.meet(a, b)
			testenv.Eventually(t, 10*time.Second, "a knows it", func() bool { return a.snap.Load().hosted("archive") })
			c.part(a, b)
			awaits(t, a, "archive")
			sent := 0
			testenv.Eventually(t, 60*time.Second, "it ends", func() bool {
				for range 20 {
					if sent*len(data) < 8<<20 && len(a.Away()) > 0 {
						a.inject("T:A", data, nil)
						sent++
					}
				}
				return len(a.Away()) == 0
			})
			const tenth = (1 << 20) * 9 / 10 // what a frame takes beside its data counts, too
			if sent*len(data) < tenth || book.Count("more than a tenth of the store") != 1 {
				t.Errorf("it ended after %d bytes; the log: %d lines", sent*len(data), book.Count("more than a tenth of the store"))
			}
			c.meet(a, b)
			testenv.Eventually(t, 30*time.Second, "what was kept until then arrives", func() bool { return got.count() >= tenth/len(data) })
		})
	}
}

// usedBy is about what the large data takes that came by here.
func usedBy(b *basket) (sum int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.got {
		if p.Blob != nil || len(p.Data) > store.MaxInline {
			sum += int64(len(p.Data))
		}
	}
	return sum
}

// TestAnAbsentSeedRefusesNobody: another contract takes the name, and what was kept goes
// to who takes it.
func TestAnAbsentSeedRefusesNobody(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	var old, now, third basket
	b.host(b.seed("work", "T:A ->", old.run))
	c.meet(a, b)
	testenv.Eventually(t, 10*time.Second, "a knows it", func() bool { return a.snap.Load().hosted("work") })
	c.part(a, b)
	awaits(t, a, "work")
	a.inject("T:A", "x", nil)
	a.host(a.seed("third", "T:A ->", third.run))
	a.host(a.seed("work", "T:B ->", now.run))
	awaits(t, a)
	a.inject("T:A", "y", nil)
	testenv.Eventually(t, 10*time.Second, "they went on", func() bool { return third.count() == 2 })
	a.Unhost("work")
	awaits(t, a)
	if old.count()+now.count() > 0 {
		t.Errorf("the seeds of the name got %d and %d packets", old.count(), now.count())
	}
}

// TestSharedSubscriptions: in a store that nodes share, the next node knows of a seed,
// whatever its name, and the last one that removes it ends it.
func TestSharedSubscriptions(t *testing.T) {
	t.Parallel()
	s := sharing{inMemory(t, pebble.Config{})}
	var got basket
	live := func(name string, during func(w *world)) {
		w := &world{t: t, fns: map[string]gofn.Func{}}
		w.Node = New(Config{Name: name, Run: "run", Store: s, Durability: Disk, Kinds: w.kinds()})
		w.Recall()
		during(w)
		w.end()
	}
	live("a", func(w *world) {
		w.host(w.seed("work", "T:A ->", got.run))
		w.start()
		testenv.Eventually(t, 10*time.Second, "it runs", w.Started)
	})
	live("b", func(w *world) {
		w.start()
		testenv.Eventually(t, 10*time.Second, "it runs", w.Started)
		awaits(t, w, "work")
		w.inject("T:A", "x", nil)
	})
	live("c", func(w *world) {
		w.start()
		w.host(w.seed("work", "T:A ->", got.run))
		testenv.Eventually(t, 10*time.Second, "it arrives", func() bool { return got.count() == 1 })
		w.Unhost("work")
		awaits(t, w)
		w.inject("T:A", "y", nil)
		testenv.Eventually(t, 10*time.Second, "it waits", func() bool { return waitsFor(w, "T:A") == 1 })
	})
	live("d", func(w *world) {
		awaits(t, w)
		w.start()
		testenv.Eventually(t, 10*time.Second, "it runs", w.Started)
	})
}

// TestEveryNodeKnows: a node that never met the host learns of its seed from the others.
func TestEveryNodeKnows(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, b, d := c.node("a", Disk), c.node("b", Disk), c.node("d", Disk)
	var got basket
	b.host(b.seed("work", "T:A ->", got.run))
	c.meet(a, b)
	testenv.Eventually(t, 10*time.Second, "a knows it", func() bool { return a.snap.Load().hosted("work") })
	c.part(a, b)
	c.meet(a, d)
	awaits(t, d, "work")
	d.inject("T:A", "x", nil)
	if _, err := a.ForgetSeeds(t.Context(), "work"); err != nil {
		t.Fatal(err)
	}
	awaits(t, d)
	testenv.Eventually(t, 10*time.Second, "it waits", func() bool { return waitsFor(d, "T:A") == 1 })
	c.meet(b, d)
	testenv.Eventually(t, 10*time.Second, "it arrives", func() bool { return got.count() == 1 })
}

// TestForgettingWhatIsAtWork says that it is left.
func TestForgettingWhatIsAtWork(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	var entered atomic.Int64
	var got basket
	b.host(b.gated("work", "T:A ->", gate, &entered, &got))
	c.meet(a, b)
	a.inject("T:A", "x", nil)
	testenv.Eventually(t, 10*time.Second, "b works", func() bool { return entered.Load() == 1 })
	c.part(a, b)
	awaits(t, a, "work")
	out, err := a.ForgetSeeds(t.Context(), "work")
	if err != nil || out.Left != 1 || out.Routed+out.Dropped != 0 {
		t.Errorf("it says %+v, %v; expected one packet to be left", out, err)
	}
}
