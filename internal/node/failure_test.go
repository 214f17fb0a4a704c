package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// newStoredWorld is a world on a store of its own, whatever the tests run with.
func newStoredWorld(t *testing.T, s store.Store, d Durability) *world {
	w := newWorld(t)
	w.Node = New(Config{Name: "test", Run: "run", Store: s, Durability: d, Kinds: w.cfg.Kinds})
	w.pauseAfter = soon
	return w
}

func failAlways(context.Context, packet.Packet, gofn.Emit) error { return errors.New("no such galaxy") }

// A resting is a frame of a store, read.
type resting struct {
	header    packet.FrameHeader
	packets   []packet.Packet
	notBefore time.Time
}

func lying(t *testing.T, s store.Store, at store.Queue) (out []resting) {
	t.Helper()
	err := s.Look(t.Context(), at, 0, func(r store.Stored) bool {
		h, ps, err := packet.ParseFrame(r.Data)
		if err != nil {
			t.Error(err)
		}
		out = append(out, resting{h, ps, r.NotBefore})
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func appendFrame(t *testing.T, s store.Store, at store.Queue, h packet.FrameHeader, ps ...packet.Packet) {
	t.Helper()
	appendData(t, s, at, packet.AppendFrame(nil, h, ps), len(ps))
}

func appendData(t *testing.T, s store.Store, at store.Queue, data []byte, packets int) {
	t.Helper()
	tx := &store.Tx{Append: []store.Append{{To: at, Frame: store.Frame{Data: data, Packets: packets}}}}
	if err := s.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
}

func somePackets(n int, state packet.State) (out []packet.Packet) {
	for i := range n {
		id := packet.HashID("some", fmt.Sprint(i))
		out = append(out, packet.Packet{ID: id, Ship: packet.Ship{Root: id, Node: "test"}, State: state, Data: fmt.Sprint(i)})
	}
	return out
}

// die has n nodes take what lies in the place and end without a verdict.
func die(t *testing.T, s store.Store, at store.Queue, n int) {
	t.Helper()
	for range n {
		leases, err := s.Pull(t.Context(), at, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leases {
			l.Release(0)
		}
	}
}

func TestDelaysGrowAndVary(t *testing.T) {
	for attempt := int32(1); attempt < 40; attempt++ {
		want := 3 * time.Minute
		if attempt <= 4 {
			want = []time.Duration{time.Second, 5 * time.Second, 20 * time.Second, time.Minute}[attempt-1]
		}
		seen := map[time.Duration]bool{}
		for range 20 {
			d := retryDelay(attempt)
			if d < want*3/4 || d > want*5/4 {
				t.Errorf("attempt %d: a delay of %v; expected %v, a quarter more or less", attempt, d, want)
			}
			seen[d] = true
		}
		if len(seen) < 10 {
			t.Errorf("attempt %d: 20 delays are %d different ones", attempt, len(seen))
		}
	}
}

// TestWhatFailsIsTriedAgain says of a packet that has just failed whether it is tried again,
// and when.
func TestWhatFailsIsTriedAgain(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	plain := errors.New("no")
	final := fmt.Errorf("no: %w", &runner.Fault{Final: true})
	later := &runner.Fault{Later: true}
	hour := &runner.Fault{Later: true, After: time.Hour}
	for _, c := range []struct {
		retries  int
		retryFor time.Duration
		failed   int32         // attempts before this
		since    time.Duration // the first of them
		err      error
		want     time.Duration // 0 is never
	}{
		{retries: 1, err: plain, want: time.Second},
		{retries: 1, failed: 1, err: plain},
		{retries: 5, err: final},
		{retries: 1, err: later, want: time.Second},
		{retries: 1, err: hour, want: time.Hour},
		{retries: 1, failed: 1, err: hour},
		{retryFor: 2 * time.Hour, err: plain, want: time.Second},
		{retryFor: 2 * time.Hour, failed: 100, since: time.Hour, err: plain, want: 101 * time.Second},
		{retryFor: 2 * time.Hour, failed: 1, since: 90 * time.Minute, err: hour, want: 30 * time.Minute},
		{retryFor: 2 * time.Hour, failed: 1, since: 2 * time.Hour, err: later},
		{retryFor: 2 * time.Hour, err: final},
	} {
		m := seed.Manifest{Retries: c.retries, RetryFor: c.retryFor}
		p := packet.Packet{Attempt: c.failed}
		if c.failed > 0 {
			p.Extra = p.Extra.FailingSince(now.Add(-c.since).Unix())
		}
		pause, again := nextTry(&m, &p, c.err, func(n int32) time.Duration { return time.Duration(n) * time.Second }, now)
		if again != (c.want > 0) || again && pause != c.want {
			t.Errorf("%+v: again %v, after %v", c, again, pause)
		}
	}
}

// TestAFinalFailureIsADeadLetterAtOnce has seeds say how they failed.
func TestAFinalFailureIsADeadLetterAtOnce(t *testing.T) {
	w := newStoredWorld(t, inMemory(t, pebble.Config{}), Memory)
	var errs, end basket
	m := w.seed("picky", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		switch {
		case in.Data == "bad":
			return &runner.Fault{Reason: "no such galaxy", Final: true}
		case in.Attempt < 2:
			return &runner.Fault{Reason: "not now", Later: true, After: time.Millisecond}
		}
		return emit("", in.Data)
	})
	m.RetryFor = time.Minute
	w.host(m, w.seed("repair", "Error:picky ->", errs.run), w.seed("end", "B:B ->", end.run))
	w.start()
	w.inject("A:A", "bad", nil)
	w.inject("A:A", "good", nil)
	testenv.Eventually(t, 20*time.Second, "both have ended", func() bool { return errs.count()+end.count() == 2 })
	errs.want(t, "bad")
	end.want(t, "good")
	if f := errs.got[0].Fault; f == nil || f.Attempts != 1 || errs.got[0].Extra.Since() != 0 || end.got[0].Extra.Since() != 0 {
		t.Errorf("what ended is %+v and %+v", errs.got[0], end.got[0])
	}
}

func TestALongDelayIsSpentInTheStore(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	w := newStoredWorld(t, s, Memory)
	bad := w.seed("bad", "A:A ->", func(_ context.Context, in packet.Packet, _ gofn.Emit) error {
		if in.Data == "0" {
			return errors.New("no such galaxy")
		}
		return nil
	})
	bad.Retries = 10
	ps := somePackets(3, "A:A")
	ps[0].Attempt = 4
	w.pauseAfter = func(failures int32) time.Duration { return time.Duration(failures) * time.Second }
	appendFrame(t, s, "in.bad", packet.FrameHeader{}, ps...)
	w.host(bad)
	w.start()
	var left []resting
	testenv.Eventually(t, 10*time.Second, "the failed packet leaves its frame", func() bool {
		left = lying(t, s, "in.bad")
		return len(left) == 1 && len(left[0].packets) == 1
	})
	p := left[0].packets[0]
	if wait := time.Until(left[0].notBefore); wait > 5*time.Second {
		t.Errorf("it waits for %v; expected less than 5s", wait)
	}
	if p.ID != ps[0].ID || p.Attempt != 5 || p.State != "A:A" {
		t.Errorf("what waits is %+v", p)
	}
}

// TestFailuresHoldUpNobody has every second packet fail for ever, with more of
// them than may wait in memory.
func TestFailuresHoldUpNobody(t *testing.T) {
	for _, d := range []Durability{None, Memory} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			s := inMemory(t, pebble.Config{})
			w := newStoredWorld(t, s, d)
			const total = 1000 // in memory alone, failures keep their places in the queue
			var end basket
			half := w.seed("half", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
				if in.Data == "bad" {
					return errors.New("no such galaxy")
				}
				return emit("", in.Data)
			})
			half.Retries = 1000
			w.host(half, w.seed("end", "B:B ->", end.run))
			w.start()
			in := w.Intake()
			for i := range total {
				data := []string{"good", "bad"}[i%2]
				if err := in.Put(t.Context(), packet.Packet{State: "A:A", Data: data}); err != nil {
					t.Fatal(err)
				}
			}
			testenv.Eventually(t, 10*time.Second, "all good ones get through", func() bool { return end.count() == total/2 })
			if d == Memory {
				testenv.Eventually(t, 10*time.Second, "what waits long is in the store", func() bool {
					stored := 0
					for _, f := range lying(t, s, "in.half") {
						if f.notBefore.IsZero() {
							continue
						}
						stored += len(f.packets)
					}
					return stored >= total/2-maxDelayed
				})
			}
		})
	}
}

func TestARetryDoesNotKeepANodeFromFinishing(t *testing.T) {
	w := newStoredWorld(t, inMemory(t, pebble.Config{}), Memory)
	var errs basket
	bad := w.seed("bad", "A:A ->", failAlways)
	bad.Retries = 8
	w.pauseAfter = retryDelay
	w.host(bad, w.seed("repair", "Error:bad ->", errs.run))
	w.start()
	w.inject("A:A", "x", nil)
	began := time.Now()
	w.drain()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	errs.want(t, "x")
	if f := errs.got[0].Fault; f == nil || f.Attempts != 9 {
		t.Errorf("the fault is %+v", f)
	}
}

func TestAFrameIsSplitAfterThreeDeaths(t *testing.T) {
	rec := newRecorder(inMemory(t, pebble.Config{}))
	w := newStoredWorld(t, rec, Memory)
	var end basket
	appendFrame(t, rec, "in.end", packet.FrameHeader{}, somePackets(3, "A:A")...)
	die(t, rec.Store, "in.end", splitAfter)
	var mu sync.Mutex
	var singles []packet.FrameHeader
	rec.refuse = func(_ store.Queue, f store.Frame) error {
		h, ps, err := packet.ParseFrame(f.Data)
		mu.Lock()
		defer mu.Unlock()
		if len(ps) == 1 {
			singles = append(singles, h)
		}
		return err
	}
	w.host(w.seed("end", "A:A ->", end.run))
	w.start()
	testenv.Eventually(t, 10*time.Second, "all arrive", func() bool { return end.count() == 3 })
	w.drain()
	end.want(t, "0", "1", "2")
	if len(singles) != 3 {
		t.Errorf("%d frames of one packet were made, want 3", len(singles))
	}
	for _, h := range singles {
		if h.Deliveries != splitAfter {
			t.Errorf("a single says that it was delivered %d times", h.Deliveries)
		}
	}
}

func TestAPacketFailsAfterTenDeaths(t *testing.T) {
	s := inMemory(t, pebble.Config{})
	w := newStoredWorld(t, s, Memory)
	var end, errs basket
	ps := somePackets(3, "A:A")
	appendFrame(t, s, "in.end", packet.FrameHeader{Deliveries: 3}, ps[0]) // from a split
	die(t, s, "in.end", maxDeliveries-3)
	appendFrame(t, s, "in.end", packet.FrameHeader{}, ps[1])
	die(t, s, "in.end", 1)
	appendFrame(t, s, "in.end", packet.FrameHeader{}, ps[2])
	w.host(w.seed("end", "A:A ->", end.run), w.seed("repair", "Error:end ->", errs.run))
	w.start()
	w.drain()
	errs.want(t, "0")
	end.want(t, "1", "2")
	p := errs.got[0]
	if p.ID != ps[0].ID || p.Fault == nil || p.Fault.State != "A:A" || !strings.Contains(p.Fault.Error, "deliveries without an acknowledgement") {
		t.Errorf("the failed one is %+v, %+v", p, p.Fault)
	}
}

// TestGivenBackIsNoDeath has a frame given back more often than a packet may
// be delivered, because the store takes nothing: it goes on when there is room.
func TestGivenBackIsNoDeath(t *testing.T) {
	rec := newRecorder(inMemory(t, pebble.Config{}))
	rec.hurry = true
	w := newStoredWorld(t, rec, Memory)
	var mu sync.Mutex
	refused := 0
	rec.refuse = func(to store.Queue, _ store.Frame) error {
		mu.Lock()
		defer mu.Unlock()
		if to != "wait.B.B" || refused > 2*maxDeliveries {
			return nil
		}
		refused++
		return store.ErrFull
	}
	w.host(w.seed("ab", "A:A -> B:B", give("b")))
	w.start()
	w.inject("A:A", "a", nil)
	testenv.Eventually(t, 10*time.Second, "it waits in its state", func() bool { return len(lying(t, rec, "wait.B.B")) == 1 })
	if failed := lying(t, rec, "wait.Error.ab"); len(failed) > 0 {
		t.Errorf("%d packets have failed", len(failed))
	}
}

// TestWhatALongRunGaveIsStored looks at the store while the next seed has what
// a run of over 50 ms gave, and of a short one.
func TestWhatALongRunGaveIsStored(t *testing.T) {
	for _, c := range []struct {
		name string
		cost time.Duration
		from store.Queue // where the packet lies until it has ended
	}{
		{"long", longRun + 10*time.Millisecond, "in.next"},
		{"short", 0, "in.first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := inMemory(t, pebble.Config{})
			w := newStoredWorld(t, s, Memory)
			running, gate := make(chan struct{}), make(chan struct{})
			w.host(w.seed("first", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
				time.Sleep(c.cost)
				return emit("", in.Data)
			}), w.seed("next", "B:B ->", func(context.Context, packet.Packet, gofn.Emit) error {
				close(running)
				<-gate
				return nil
			}))
			w.start()
			w.inject("A:A", "x", nil)
			<-running
			testenv.Eventually(t, 10*time.Second, "one frame, in "+string(c.from), func() bool {
				places, err := s.Queues(t.Context())
				return err == nil && len(places) == 1 && places[0].Queue == c.from
			})
			close(gate)
			w.drain()
		})
	}
}

// TestARunThatIsCutOffIsNoAttempt has a run end by a signal just before the node is told to end, as
// when a service is stopped, and while it ends; and, at last, while it goes on.
func TestARunThatIsCutOffIsNoAttempt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ps := somePackets(1, "A:A")
	runs := make(chan bool, 1)
	cut := func(w *world, within time.Duration, before func()) {
		w.cutTime = within
		m := w.seed("cut", "A:A ->", func(context.Context, packet.Packet, gofn.Emit) error {
			runs <- true
			before()
			return &runner.Fault{Reason: "killed by SIGTERM", Cut: true}
		})
		m.Retries = 0
		w.host(m)
	}
	life(t, dir, func(w *world) {
		cut(w, time.Minute, func() {})
		if err := w.Inject(t.Context(), ps[0]); err != nil {
			t.Fatal(err)
		}
		<-runs
		if err := w.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	life(t, dir, func(w *world) {
		goOn := make(chan bool)
		cut(w, time.Minute, func() { <-goOn })
		<-runs
		drained := make(chan error)
		go func() { drained <- w.Drain(t.Context()) }()
		<-w.pulling.Done()
		close(goOn)
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
	})
	between(t, dir, func(s store.Store) {
		left := lying(t, s, "in.cut")
		if len(left) != 1 || left[0].packets[0].ID != ps[0].ID || left[0].packets[0].Attempt != 0 {
			t.Errorf("what is left is %+v", left)
		}
	})
	life(t, dir, func(w *world) {
		cut(w, time.Second, func() {})
		<-runs
		testenv.Eventually(t, 20*time.Second, "it has failed", func() bool { return waitsFor(w, "Error:cut") == 1 })
	})
}

// TestAFailedAttemptGoesToAnotherNode: what one machine cannot do, another that waits for
// work tries next.
func TestAFailedAttemptGoesToAnotherNode(t *testing.T) {
	const total = 20
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	a.pauseAfter = soon
	var here, there atomic.Int32
	var got basket
	m := a.seed("work", "T:A ->", func(context.Context, packet.Packet, gofn.Emit) error {
		here.Add(1)
		return errors.New("no licence on this machine")
	})
	m.Retries = 1
	a.host(m)
	c.meet(a, b)
	b.host(b.seed("work", "T:A ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		there.Add(1)
		return got.run(ctx, in, emit)
	}))
	c.meet(a, b)
	h := a.snap.Load().hosts["work"]
	for i := range total {
		testenv.Eventually(t, 10*time.Second, "b waits for work of a", h.gate.visited)
		a.inject("T:A", fmt.Sprint(i), nil)
		testenv.Eventually(t, 10*time.Second, "it has arrived", func() bool { return got.count() > i })
	}
	c.rests(10 * time.Second)
	if here.Load() != total || there.Load() != total {
		t.Errorf("%d packets were run %d times at a, where they fail, and %d times at b", total, here.Load(), there.Load())
	}
}

// TestAFailedAttemptStaysWhereNobodyElseIs: the node tries it again itself when no other
// one waits for work.
func TestAFailedAttemptStaysWhereNobodyElseIs(t *testing.T) {
	c := newCircle(t)
	a, b := c.node("a", Disk), c.node("b", Disk)
	var got basket
	var runs atomic.Int32
	work := func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
		if runs.Add(1) == 1 {
			return errors.New("not yet")
		}
		return got.run(ctx, in, emit)
	}
	for _, w := range []*world{a, b} {
		m := w.seed("work", "T:A ->", work)
		m.Retries = 1
		w.host(m)
	}
	if err := b.Pause(t.Context(), "work"); err != nil {
		t.Fatal(err)
	}
	c.meet(a, b)
	a.inject("T:A", "x", nil)
	testenv.Eventually(t, 10*time.Second, "it has arrived", func() bool { return got.count() == 1 })
	c.rests(10 * time.Second)
}
