package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// TestAChainOverTwoNodes has the middle seed on the other node.
func TestAChainOverTwoNodes(t *testing.T) {
	eachPair(t, func(t *testing.T, da, db Durability) {
		const total = 500
		c := newCircle(t)
		a, b := c.node("a", da), c.node("b", db)
		var got basket
		a.host(a.seed("end", "T:B ->", got.run))
		b.host(b.seed("work", "T:A -> T:B", give("!")))
		c.meet(a, b)
		var want []string
		for i := range total {
			a.inject("T:A", fmt.Sprint(i), nil)
			want = append(want, fmt.Sprint(i)+"!")
		}
		slices.Sort(want)
		testenv.Eventually(t, 20*time.Second, "all has arrived", func() bool { return got.count() >= total })
		got.want(t, want...)
		c.rests(10 * time.Second)
		for _, p := range got.got[:1] {
			if p.Hops() != 1 || p.Trail.Node != "b" || p.Ship.Node != "a" {
				t.Errorf("the packet came over %+v with the ship %+v", p.Trail, p.Ship)
			}
		}
	})
}

// TestWhatAWeakNodeGivesIsKeptWhereItCameFrom: the frame on a's disk is only
// acknowledged when what came of it lies on a disk again.
func TestWhatAWeakNodeGivesIsKeptWhereItCameFrom(t *testing.T) {
	for _, d := range []Durability{None, Memory} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			c := newCircle(t)
			a, b := c.node("a", Disk), c.node("b", d)
			b.host(b.seed("work", "T:A -> T:NOBODY", give(strings.Repeat("!", store.MaxInline))))
			c.meet(a, b)
			a.inject("T:A", "small", nil)
			a.inject("T:A", large("large"), nil)
			testenv.Eventually(t, 30*time.Second, "both wait at a, and nothing is under way", func() bool {
				return len(lying(t, a.store, store.Waiting("T:NOBODY"))) == 2 && len(lying(t, a.store, store.Inbox("work"))) == 0 && b.quiet()
			})
			c.part(a, b)
			if left := len(lying(t, b.store, store.Waiting("T:NOBODY"))); left > 0 {
				t.Errorf("%d frames wait in the weak node's store", left)
			}
			var got basket
			a.host(a.seed("end", "T:NOBODY ->", got.run))
			testenv.Eventually(t, 10*time.Second, "both arrive", func() bool { return got.count() == 2 })
			for _, text := range got.data() {
				if !strings.HasSuffix(text, "!!!") {
					t.Errorf("%.20q... arrived", text)
				}
			}
		})
	}
}

// TestWhatAWeakNodeGivesWaitsForItsOwner: the owner is away when a run ends, and back
// soon: the run is not repeated.
func TestWhatAWeakNodeGivesWaitsForItsOwner(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", None)
	var runs atomic.Int32
	gate := make(chan struct{})
	b.host(b.seed("work", "T:A -> T:B", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		runs.Add(1)
		select {
		case <-gate:
			return emit("", in.Data+"!")
		case <-ctx.Done():
			return ctx.Err()
		}
	}))
	c.meet(a, b)
	a.inject("T:A", "x", nil)
	testenv.Eventually(t, 10*time.Second, "b runs it", func() bool { return runs.Load() == 1 })
	c.part(a, b)
	close(gate)
	testenv.Eventually(t, 10*time.Second, "the run has ended", func() bool { _, running := b.inFlight(); return running == 0 })
	c.meet(a, b)
	testenv.Eventually(t, 20*time.Second, "what it gave lies at a", func() bool {
		return len(lying(t, a.store, store.Waiting("T:B"))) == 1 && len(lying(t, a.store, store.Inbox("work"))) == 0
	})
	if n := runs.Load(); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

// TestLargeDataCrosses sends data beside frames there and back.
func TestLargeDataCrosses(t *testing.T) {
	eachPair(t, func(t *testing.T, da, db Durability) {
		c := newCircle(t)
		a, b := c.node("a", da), c.node("b", db)
		var got basket
		a.host(a.seed("end", "T:B ->", got.run))
		b.host(b.seed("work", "T:A -> T:B", give("!")))
		c.meet(a, b)
		a.inject("T:A", large("one"), nil)
		a.inject("T:A", large("two"), nil)
		testenv.Eventually(t, 20*time.Second, "both arrive", func() bool { return got.count() == 2 })
		wantLarge(t, &got, large("one")+"!", large("two")+"!")
		c.rests(10 * time.Second)
		testenv.Eventually(t, 20*time.Second, "no large data is left", func() bool {
			for _, w := range c.nodes {
				if any, err := w.blobs.Any(); err != nil || any {
					return false
				}
			}
			return true
		})
	})
}

// TestAPeerThatIsGoneGivesItsFramesUp while it works on them.
func TestAPeerThatIsGoneGivesItsFramesUp(t *testing.T) {
	c := newCircle(t)
	a, b, d := c.node("a", Disk), c.node("b", Disk), c.node("d", Disk)
	var stuck atomic.Int32
	b.host(b.seed("work", "T:A ->", func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
		stuck.Add(1)
		<-ctx.Done()
		return ctx.Err()
	}))
	c.meet(a, b)
	for i := range 5 {
		a.inject("T:A", fmt.Sprint(i), nil)
	}
	testenv.Eventually(t, 10*time.Second, "b works", func() bool { return stuck.Load() > 0 })
	c.part(a, b)
	var got basket
	d.host(d.seed("work", "T:A ->", got.run))
	c.meet(a, d)
	testenv.Eventually(t, 60*time.Second, "d has all", func() bool { return got.count() == 5 })
	got.want(t, "0", "1", "2", "3", "4")
}

// TestNearFirst: an idle replica gets nothing while the near one keeps up, and
// helps when that is busy.
func TestNearFirst(t *testing.T) {
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	var near, far basket
	slow := func(into *basket) gofn.Func {
		return func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
			pause.For(ctx, 20*time.Millisecond) // long enough that others' work beside does not count
			return into.run(ctx, in, emit)
		}
	}
	a.host(a.seed("work", "T:A ->", slow(&near)))
	b.host(b.seed("work", "T:A ->", slow(&far)))
	c.meet(a, b)
	for i := range 20 {
		a.inject("T:A", fmt.Sprint(i), nil)
		testenv.Eventually(t, 10*time.Second, "it has arrived", func() bool { return near.count()+far.count() == i+1 })
	}
	if far.count() > 0 {
		t.Errorf("%d of 20 packets, one at a time, went to the other node", far.count())
	}
	in := a.Intake()
	for i := range 400 {
		if err := in.Put(t.Context(), packet.Packet{State: "T:A", Data: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, 60*time.Second, "all has arrived", func() bool { return near.count()+far.count() == 420 })
	if n := far.count(); n < 40 {
		t.Errorf("the idle node helped with %d of 400 packets", n)
	}
}

// TestSpread: all replicas have their turn, also while none is busy.
func TestSpread(t *testing.T) {
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	var near, far basket
	spread := func(m seed.Manifest) seed.Manifest { m.Spread = true; return m }
	a.host(spread(a.seed("work", "T:A ->", near.run)))
	b.host(spread(b.seed("work", "T:A ->", far.run)))
	c.meet(a, b)
	for i := range 40 {
		a.inject("T:A", fmt.Sprint(i), nil)
		testenv.Eventually(t, 10*time.Second, "it has arrived", func() bool { return near.count()+far.count() == i+1 })
	}
	if near.count() < 10 || far.count() < 10 {
		t.Errorf("%d packets went to the near one and %d to the far one; expected about as many", near.count(), far.count())
	}
}

// TestFramesFillForSeedsElsewhere: what is known of a seed's cost there says how
// many packets a frame for it may hold.
func TestFramesFillForSeedsElsewhere(t *testing.T) {
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	var got basket
	b.host(b.seed("work", "T:A ->", got.run))
	c.meet(a, b)
	a.inject("T:A", "first", nil)
	testenv.Eventually(t, 10*time.Second, "the cost is known", func() bool { return a.snap.Load().frame("work") > 1 })
}

// TestAnotherContractIsRefused, as long as the first one is there.
func TestAnotherContractIsRefused(t *testing.T) {
	c := newCircle(t)
	a, b := c.node("a", Memory), c.node("b", Memory)
	a.host(a.seed("work", "T:A -> T:B", give("!")))
	c.meet(a, b)
	m := b.seed("work", "T:A -> T:OTHER", give("?"))
	errs := b.Host(t.Context(), m)
	if errs[0] == nil || !strings.Contains(errs[0].Error(), `the node a hosts work as "T:A -> T:B"`) {
		t.Fatalf("another contract of a name: %v", errs[0])
	}
	if card := b.Card(); len(card.Seeds) > 0 || len(card.Refused) != 1 || card.Refused[0].Manifest.Name != "work" {
		t.Errorf("the card says %+v", card)
	}
	a.Unhost("work")
	testenv.Eventually(t, 5*time.Second, "it runs when the other has gone", func() bool { return len(b.Seeds()) == 1 && len(b.Refused()) == 0 })
}

// TestAfterAPartition the contract stays that most nodes have.
func TestAfterAPartition(t *testing.T) {
	c := newCircle(t)
	a, b, d := c.node("a", Memory), c.node("b", Memory), c.node("d", Memory)
	d.host(d.seed("work", "T:A -> T:OTHER", give("?"))) // the oldest
	for _, w := range []*world{a, b} {
		w.host(w.seed("work", "T:A -> T:B", give("!")))
	}
	c.meet(a, b, d)
	testenv.Eventually(t, 5*time.Second, "d gives way", func() bool {
		return len(d.Seeds()) == 0 && len(d.Refused()) == 1 && len(a.Seeds()) == 1 && len(b.Seeds()) == 1
	})
	if contract, _ := d.Network().Contract("work"); contract.String() != "T:A -> T:B" {
		t.Errorf("d routes by %q", contract)
	}
}

// TestAVersionBesideAnother serves as well.
func TestAVersionBesideAnother(t *testing.T) {
	c := newCircle(t)
	a, b := c.node("a", Memory), c.node("b", Memory)
	a.host(a.seed("work", "T:A -> T:B", give("1")))
	m := b.seed("work", "T:A -> T:B", give("2"))
	b.fns["work2"] = b.fns["work"]
	m.Version = "2"
	b.host(m)
	c.meet(a, b)
	if replicas := a.Network().Replicas("work"); len(replicas) != 2 {
		t.Errorf("the replicas are %v", replicas)
	}
}

// TestAPacketWaitsUntilANodeComes whose seed takes it.
func TestAPacketWaitsUntilANodeComes(t *testing.T) {
	eachPair(t, func(t *testing.T, da, db Durability) {
		c := newCircle(t)
		a, b := c.node("a", da), c.node("b", db)
		a.inject("T:A", "early", nil)
		var got basket
		b.host(b.seed("work", "T:A ->", got.run))
		testenv.Eventually(t, 10*time.Second, "it waits", func() bool { st := a.Status(t.Context()); return len(st.Waiting) == 1 })
		c.meet(a, b)
		testenv.Eventually(t, 10*time.Second, "it arrives", func() bool { return got.count() == 1 })
		c.rests(10 * time.Second)
	})
}

// TestALedgerOfTwoNodes follows packets to the other node and back, also while
// the two had lost each other in between.
func TestALedgerOfTwoNodes(t *testing.T) {
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	gate := make(chan struct{})
	var got basket
	b.host(b.seed("work", "T:A -> T:B", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
		return emit("", in.Data+"!")
	}), b.seed("end", "T:B ->", got.run))
	c.meet(a, b)
	follow := packet.NewID()
	sum := func() Ledger {
		l, err := a.Ledger(t.Context(), follow)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a.inject("T:A", "x", &packet.Wish{Follow: follow})
	if l := sum(); l.Begun != 1 || l.Live != 1 {
		t.Errorf("at first: %+v", l)
	}
	testenv.Eventually(t, 10*time.Second, "b has it", func() bool { _, running := b.inFlight(); return running > 0 })
	c.part(a, b)
	close(gate)
	testenv.Eventually(t, 10*time.Second, "it is over at b", func() bool { return got.count() == 1 && b.quiet() })
	if l := sum(); l.Live+l.Kept["work"] != 1 {
		t.Errorf("a knows what happens where it cannot look: %+v", l)
	}
	c.meet(a, b)
	testenv.Eventually(t, 20*time.Second, "all is over", func() bool { l := sum(); return l.Begun == 2 && l.Live == 0 })
}

// TestChangedContractIsRoutedAnew: what lies in the inbox of a seed that no longer
// takes it goes to who does.
func TestChangedContractIsRoutedAnew(t *testing.T) {
	w := newWorld(t)
	var old, other basket
	appendFrame(t, w.store, store.Inbox("work"), packet.FrameHeader{}, somePackets(3, "T:OLD")...)
	w.host(w.seed("work", "T:NEW ->", old.run), w.seed("other", "T:OLD ->", other.run))
	w.start()
	testenv.Eventually(t, 10*time.Second, "they went on", func() bool { return other.count() == 3 })
	if old.count() > 0 {
		t.Errorf("the seed was given %d packets that it does not take", old.count())
	}
}

// TestGuestsAreChecked: a peer gets no more than it may have.
func TestGuestsAreChecked(t *testing.T) {
	c := newCircle(t)
	w := c.node("a", Memory)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := w.Serve(ctx, "b", packet.NewID())
	for _, at := range []store.Queue{"", "in.", "in.a b", "wait.T.A", "note.once.x", "ledger.00000000000000000000000000000001"} {
		if _, err := g.Pull(ctx, at, 1); err == nil {
			t.Errorf("a pull from %q is let pass", at)
		}
	}
	frame := packet.AppendFrame(nil, packet.FrameHeader{}, somePackets(2, "T:A"))
	for name, f := range map[string]struct {
		to store.Queue
		f  store.Frame
	}{
		"note":    {"note.once.x", store.Frame{Data: frame, Packets: 2}},
		"garbage": {"in.x", store.Frame{Data: []byte("garbage"), Packets: 1}},
		"count":   {"in.x", store.Frame{Data: frame, Packets: 3}},
		"place":   {"in.x y", store.Frame{Data: frame, Packets: 2}},
		"empty":   {"in.x", store.Frame{}},
	} {
		if err := g.Append(ctx, f.to, f.f); err == nil {
			t.Errorf("%s is let pass", name)
		}
	}
	if err := g.Append(ctx, "in.x", store.Frame{Data: frame, Packets: 2}); err != nil {
		t.Fatal(err)
	}
	leases, err := g.Pull(ctx, "in.x", 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := leases[0].Deliveries(); d != 1 {
		t.Errorf("the first delivery is number %d", d)
	}
	for i := range 3 { // given back is no death
		if err := leases[0].Release(0); err != nil {
			t.Fatal(err)
		}
		if leases, err = g.Pull(ctx, "in.x", 1); err != nil || leases[0].Deliveries() != 1 {
			t.Fatalf("after it was given back %d times: %v, %v", i+1, leases, err)
		}
	}
	cancel()
	again := w.Serve(t.Context(), "b", packet.NewID()) // the peer has died, and starts again
	late := leases[0]
	if leases, err = again.Pull(t.Context(), "in.x", 1); err != nil || leases[0].Deliveries() != 2 {
		t.Errorf("after a death: %v, %v", leases, err)
	}
	if err := late.Ack(); err == nil {
		t.Error("who is gone ends a frame that somebody else has")
	}
	if err := leases[0].(mesh.Spoiled).Spoil(); err != nil {
		t.Error(err)
	}
}

// TestSaidOnce has nodes meet, and waits until they have said all they have to say:
// that a peer said something is nothing new to say.
func TestSaidOnce(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	a, b := c.node("a", Memory), c.node("b", Memory)
	a.host(a.seed("greet", "T:A -> T:B", give("!")))
	c.meet(a, b)
	testenv.Eventually(t, 10*time.Second, "a says nothing more", func() bool {
		select {
		case <-a.Changed():
			return false
		case <-time.After(500 * time.Millisecond):
			return true
		}
	})
}
