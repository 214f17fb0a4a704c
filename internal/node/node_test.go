package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// durability is what the tests run with: PMK_TEST_DURABILITY, or none.
func durability() Durability {
	var d Durability
	if name := os.Getenv("PMK_TEST_DURABILITY"); name != "" {
		if err := d.Set(name); err != nil {
			panic(err)
		}
	}
	return d
}

// openStore is a store for that durability.
func openStore(t *testing.T) store.Store {
	if durability() != Disk {
		return inMemory(t, pebble.Config{Size: 256 << 20})
	}
	s, err := pebble.Open(t.Context(), pebble.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A world is a node under test with its Go seeds.
type world struct {
	*Node
	t   *testing.T
	mu  sync.Mutex
	fns map[string]gofn.Func // by name and version

	end func()
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, fns: map[string]gofn.Func{}}
	w.Node = New(Config{Name: "test", Run: "run", Store: openStore(t), Blobs: blob.Open(blob.Config{Dir: t.TempDir()}), Durability: durability(), Kinds: w.kinds()})
	w.pauseAfter = soon
	return w
}

// kinds run the seeds that w has, as functions; those of the kind of processes are loaded
// as such.
func (w *world) kinds() runner.Kinds {
	functions := gofn.Kind(func(m seed.Manifest) gofn.Func {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.fns[string(m.Name)+m.Version]
	})
	return runner.Kinds{seed.Go: functions, seed.Process: {Traits: process.Kind.Traits, Open: functions.Open}}
}

// soon has tests not wait for the next attempt as long as users do.
func soon(failures int32) time.Duration {
	return min(100*time.Millisecond<<min(failures-1, 16), time.Minute)
}

// seed describes a Go seed that the world can host.
func (w *world) seed(name, contract string, fn gofn.Func) seed.Manifest {
	w.t.Helper()
	c, err := seed.ParseContract(contract)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fns[name] = fn
	return seed.Manifest{Name: seed.Name(name), Kind: seed.Go, Contract: c}
}

func (w *world) host(ms ...seed.Manifest) {
	w.t.Helper()
	if err := errors.Join(w.Host(w.t.Context(), ms...)...); err != nil {
		w.t.Fatal(err)
	}
}

// start runs the node until the test ends.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.end)
}

// drain lets everything end.
func (w *world) drain() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.Finish(ctx); err != nil {
		w.t.Fatal("the drain did not end: ", err)
	}
}

func (w *world) inject(state packet.State, data string, wish *packet.Wish) {
	w.t.Helper()
	if err := w.Inject(w.t.Context(), packet.Packet{State: state, Data: data, Wish: wish}); err != nil {
		w.t.Fatal(err)
	}
}

// A basket collects what an extractor takes.
type basket struct {
	mu  sync.Mutex
	got []packet.Packet
}

func (b *basket) run(_ context.Context, in packet.Packet, _ gofn.Emit) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, in)
	return nil
}

// data is what was taken, sorted.
func (b *basket) data() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []string{}
	for _, p := range b.got {
		out = append(out, p.Data)
	}
	slices.Sort(out)
	return out
}

func (b *basket) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.got)
}

func (b *basket) want(t *testing.T, want ...string) {
	t.Helper()
	if got := b.data(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// give emits its input with a mark.
func give(mark string) gofn.Func {
	return func(_ context.Context, in packet.Packet, emit gofn.Emit) error { return emit("", in.Data+mark) }
}

func TestEverySeedThatAcceptsGetsACopy(t *testing.T) {
	w := newWorld(t)
	var left, right basket
	w.host(
		w.seed("inject", "-> A:A", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
			return errors.Join(emit("", "1"), emit("A", "2"), emit("A:A", "3"))
		}),
		w.seed("left", "A:A ->", left.run), w.seed("right", "A:A | B:B ->", right.run))
	w.start()
	testenv.Eventually(t, 10*time.Second, "both have all", func() bool { return left.count() == 3 && right.count() == 3 })
	w.drain()
	left.want(t, "1", "2", "3")
	right.want(t, "1", "2", "3")
	if w.Abandoned() != 0 {
		t.Errorf("%d packets were abandoned", w.Abandoned())
	}
}

func TestAlternativesFilterAndIDs(t *testing.T) {
	w := newWorld(t)
	var english, other basket
	w.host(
		w.seed("sort", "T:RAW -> T:EN | T:OTHER", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
			switch in.Data {
			case "hello":
				return emit("EN", in.Data)
			case "hallo":
				return emit("T:OTHER", in.Data)
			}
			return nil // filtered
		}),
		w.seed("english", "T:EN ->", english.run), w.seed("other", "T:OTHER ->", other.run))
	w.start()
	root := packet.HashID("root")
	for i, data := range []string{"hello", "hallo", "xyzzy"} {
		p := packet.Packet{ID: root.Output(uint64(i)), State: "T:RAW", Data: data}
		if err := w.Inject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	w.drain()
	english.want(t, "hello")
	other.want(t, "hallo")
	p := english.got[0]
	if want := packet.RunID(packet.KeyOf("sort"), 0, root.Output(0)).Output(0); p.ID != want {
		t.Errorf("the child's id is %s, want %s", p.ID, want)
	}
	if p.Ship != (packet.Ship{Root: root.Output(0), Node: "test"}) {
		t.Errorf("the child's ship is %s", p.Ship)
	}
	if p.Hops() != 1 || p.Trail.Seed != "sort" || p.Trail.Node != "test" {
		t.Errorf("the child's trail is %+v", p.Trail)
	}
}

func TestAStateThatTheContractDoesNotNameFails(t *testing.T) {
	w := newWorld(t)
	var errs basket
	w.host(w.seed("bad", "A:A -> B:B", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error { return emit("C", "x") }),
		w.seed("repair", "Error:bad ->", errs.run))
	w.start()
	w.inject("A:A", "data", nil)
	w.drain()
	errs.want(t, "data")
	if f := errs.got[0].Fault; f == nil || f.State != "A:A" || f.Attempts != 1 {
		t.Errorf("the fault is %+v", f)
	}
}

func TestStopAndGoal(t *testing.T) {
	w := newWorld(t)
	var b, c, d basket
	w.host(
		w.seed("ab", "A:A -> B:B", give("b")), w.seed("ac", "A:A -> C:C", give("c")),
		w.seed("cd", "C:C -> D:D", give("d")),
		w.seed("tb", "B:B ->", b.run), w.seed("tc", "C:C ->", c.run), w.seed("td", "D:D ->", d.run))
	w.start()
	w.inject("A:A", "1", &packet.Wish{Goal: "D:D"})
	w.drain()
	b.want(t)
	c.want(t)
	d.want(t, "1cd")

	w = newWorld(t)
	b, c, d = basket{}, basket{}, basket{}
	w.host(w.seed("ac", "A:A -> C:C", give("c")), w.seed("cd", "C:C -> D:D", give("d")),
		w.seed("tc", "C:C ->", c.run), w.seed("td", "D:D ->", d.run))
	w.start()
	w.inject("A:A", "2", &packet.Wish{Stop: "ac"})
	w.inject("C:C", "3", &packet.Wish{Stop: "cd", Track: true})
	w.drain()
	c.want(t, "3")
	d.want(t)
}

func TestTrackKeepsTheDataOfEveryHop(t *testing.T) {
	w := newWorld(t)
	var end basket
	w.host(w.seed("ab", "A:A -> B:B", give("b")), w.seed("bc", "B:B -> C:C", give("c")), w.seed("end", "C:C ->", end.run))
	w.start()
	w.inject("A:A", "x", &packet.Wish{Track: true})
	w.drain()
	end.want(t, "xbc")
	hop := end.got[0].Trail
	if hop.Data != "xb" || hop.State != "B:B" || hop.Prev == nil || hop.Prev.Data != "x" {
		t.Errorf("the hops hold %+v", hop)
	}
}

func TestTheSlowestSeedHoldsBackTheInjector(t *testing.T) {
	if durability() != None {
		t.Skip("with a store, what the slowest seed has no room for lies there; see TestAFullStoreHoldsBackRootsAlone")
	}
	w := newWorld(t)
	var given atomic.Int64
	release := make(chan struct{})
	w.host(
		w.seed("inject", "-> A:A", func(ctx context.Context, _ packet.Packet, emit gofn.Emit) error {
			for {
				if err := emit("", "x"); err != nil {
					return err
				}
				given.Add(1)
			}
		}),
		w.seed("ab", "A:A -> B:B", give("")),
		w.seed("slow", "B:B ->", func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil
		}))
	w.start()
	most := int64(2*maxQueued + 3*maxBatch*2)
	var last int64 = -1
	testenv.Eventually(t, 10*time.Second, "the injector stands still", func() bool {
		now := given.Load()
		still := now == last && now >= maxQueued
		last = now
		return still
	})
	if last > most {
		t.Errorf("%d packets went in with nobody taking them out; at most %d have a place", last, most)
	}
	close(release)
	w.drain()
	for _, s := range w.Status(t.Context()).Seeds {
		if s.Manifest.Name == "slow" && s.In != uint64(given.Load()) {
			t.Errorf("%d packets were given and %d arrived", given.Load(), s.In)
		}
	}
}

func TestACycleThatAmplifiesDoesNotDeadlock(t *testing.T) {
	w := newWorld(t)
	var ends basket
	const depth, roots = 12, 5
	// Each packet makes two until its data is long enough: far more are under
	// way than the queues of the cycle take.
	double := func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		if len(in.Data) == depth {
			return emit("END", in.Data)
		}
		return errors.Join(emit("GO", in.Data+"0"), emit("GO", in.Data+"1"))
	}
	w.host(w.seed("go", "T:GO -> T:BACK", give("")), w.seed("back", "T:BACK -> T:GO | T:END", double), w.seed("end", "T:END ->", ends.run))
	w.start()
	for range roots {
		w.inject("T:GO", "", nil)
	}
	w.drain()
	if got, want := ends.count(), roots<<depth; got != want {
		t.Errorf("%d packets ended, want %d", got, want)
	}
}

func TestALoopEndsUpWaiting(t *testing.T) {
	w := newWorld(t)
	w.host(w.seed("ab", "A:A -> B:B", give("")), w.seed("ba", "B:B -> A:A", give("")))
	w.start()
	w.inject("A:A", "round and round", nil)
	w.drain()
	waits := w.Status(t.Context()).Waiting
	if len(waits) != 1 || waits[0].Packets != 1 {
		t.Fatalf("waiting: %+v", waits)
	}
}

func TestWhatNobodyAcceptsFlowsWhenASeedComes(t *testing.T) {
	w := newWorld(t)
	w.host(w.seed("ab", "A:A -> B:B", give("b")))
	w.start()
	for i := range 3000 { // more than a queue holds
		w.inject("A:A", fmt.Sprint(i), nil)
	}
	testenv.Eventually(t, 10*time.Second, "all wait", func() bool {
		waits := w.Status(t.Context()).Waiting
		return len(waits) == 1 && waits[0].State == "B:B" && waits[0].Packets == 3000
	})
	var end basket
	w.host(w.seed("end", "B:B ->", end.run))
	testenv.Eventually(t, 10*time.Second, "all arrive", func() bool { return end.count() == 3000 })
	testenv.Eventually(t, 10*time.Second, "nothing waits", func() bool { return len(w.Status(t.Context()).Waiting) == 0 })
}

func TestNothingIsLostWhenASeedIsEditedAndRemoved(t *testing.T) {
	w := newWorld(t)
	var end basket
	const total = 20000
	injected := make(chan struct{})
	w.host(
		w.seed("inject", "-> A:A", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
			defer close(injected)
			for i := range total {
				if err := emit("", fmt.Sprint(i)); err != nil {
					return err
				}
			}
			return nil
		}),
		w.seed("ab", "A:A -> B:B", give("")), w.seed("end", "B:B ->", end.run))
	w.start()
	for v := range 30 {
		version := fmt.Sprint(v)
		w.mu.Lock()
		w.fns["ab"+version] = give("")
		w.mu.Unlock()
		m := w.seed("ab", "A:A -> B:B", give(""))
		m.Version = version
		switch v % 3 {
		case 0:
			w.Unhost("ab")
		case 1:
			m.Version = "unknown" // does not load: the old one goes on
			if errs := w.Host(t.Context(), m); errs[0] == nil {
				t.Error("a seed that does not load was hosted")
			}
		default:
			w.host(m)
		}
	}
	w.host(w.seed("ab", "A:A -> B:B", give("")))
	<-injected
	w.drain()
	seen := map[string]bool{}
	for _, data := range end.data() {
		seen[data] = true
	}
	if len(seen) != total {
		t.Errorf("%d of %d packets arrived", len(seen), total)
	}
}

func TestFailuresAreTriedAgainThenBecomeData(t *testing.T) {
	w := newWorld(t)
	var end, errs basket
	var runs atomic.Int64
	flaky := w.seed("flaky", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		if runs.Add(1); in.Data == "bad" || in.Attempt == 0 {
			panic("no such galaxy")
		}
		return emit("", in.Data)
	})
	flaky.Retries = 1
	w.host(flaky, w.seed("end", "B:B ->", end.run), w.seed("repair", "Error:flaky ->", errs.run))
	w.start()
	w.inject("A:A", "good", nil)
	w.inject("A:A", "bad", nil)
	testenv.Eventually(t, 10*time.Second, "both have ended", func() bool { return end.count() == 1 && errs.count() == 1 })
	end.want(t, "good")
	errs.want(t, "bad")
	f := errs.got[0].Fault
	if f == nil || f.Error != "panic: no such galaxy" || f.Attempts != 2 || f.State != "A:A" || f.Output == "" {
		t.Errorf("the fault is %+v", f)
	}
	if runs.Load() != 4 {
		t.Errorf("%d runs, want 4", runs.Load())
	}
}

func TestAnErrorStateWithoutARepairSeedWaits(t *testing.T) {
	w := newWorld(t)
	w.host(w.seed("bad", "A:A ->", func(context.Context, packet.Packet, gofn.Emit) error { return errors.New("no") }))
	w.start()
	w.inject("A:A", "x", nil)
	w.drain()
	waits := w.Status(t.Context()).Waiting
	if len(waits) != 1 || waits[0].State != "Error:bad" {
		t.Errorf("waiting: %+v", waits)
	}
}

func TestATimeOutEndsARun(t *testing.T) {
	w := newWorld(t)
	var errs basket
	slow := w.seed("slow", "A:A ->", func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
		<-ctx.Done()
		return nil
	})
	slow.Timeout = 20 * time.Millisecond
	w.host(slow, w.seed("repair", "Error:slow ->", errs.run))
	w.start()
	w.inject("A:A", "x", nil)
	testenv.Eventually(t, 10*time.Second, "the time-out", func() bool { return errs.count() == 1 })
	if f := errs.got[0].Fault; f.Error != "timed out after 20ms" {
		t.Errorf("the fault is %+v", f)
	}
}

func TestInjectorsRepeatAndAreTriedAgain(t *testing.T) {
	w := newWorld(t)
	var end basket
	var runs atomic.Int64
	every := w.seed("tick", "-> A:A", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error {
		if runs.Add(1) == 1 {
			return errors.New("not yet")
		}
		return emit("", "tick")
	})
	every.Every, every.Retries = time.Millisecond, 1
	w.host(every, w.seed("end", "A:A ->", end.run))
	w.start()
	testenv.Eventually(t, 10*time.Second, "three ticks", func() bool { return end.count() >= 3 })
	w.drain()
	ids := map[packet.ID]bool{}
	for _, p := range end.got {
		ids[p.ID] = true
	}
	if len(ids) != len(end.got) {
		t.Errorf("%d packets have %d ids", len(end.got), len(ids))
	}
}

func TestDrainFinishesWhatIsInFlightAndRefusesMore(t *testing.T) {
	w := newWorld(t)
	var end basket
	gate := make(chan struct{})
	w.host(w.seed("ab", "A:A -> B:B", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		<-gate
		return emit("", in.Data)
	}), w.seed("end", "B:B ->", end.run))
	w.start()
	for i := range 10 {
		w.inject("A:A", fmt.Sprint(i), nil)
	}
	drained := make(chan error, 1)
	go func() { drained <- w.Drain(context.Background()) }()
	testenv.Eventually(t, 10*time.Second, "more is refused", func() bool {
		return errors.Is(w.Inject(t.Context(), packet.Packet{State: "A:A"}), ErrDraining)
	})
	select {
	case <-drained:
		t.Error("the drain ended while packets were in flight")
	default:
	}
	close(gate)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	left, err := w.Left(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := end.count(); got+left < 10 {
		t.Errorf("of 10 packets %d arrived and %d lie in the store", got, left)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.host(w.seed("one", "A:A ->", give("")))
	other := w.seed("one", "B:B ->", give(""))
	other.File = "other.py"
	join := w.seed("join", "A:A & B:B -> C:C", give(""))
	elsewhere := w.seed("elsewhere", "A:A ->", give(""))
	elsewhere.Group = "lab"
	for _, m := range []seed.Manifest{other, join, elsewhere} {
		if errs := w.Host(t.Context(), m); !errors.Is(errs[0], ErrRefused) {
			t.Errorf("seed %s: %v", m.Name, errs[0])
		}
	}
	w.start()
	if err := w.Inject(t.Context(), packet.Packet{State: "no colon"}); err == nil {
		t.Error("a malformed state was taken")
	}
	if len(w.Seeds()) != 1 {
		t.Errorf("hosted: %v", w.Seeds())
	}
}

// inMemory is a store in memory that ends with the test.
func inMemory(t *testing.T, cfg pebble.Config) *pebble.Store {
	t.Helper()
	s := pebble.InMemory(cfg)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
