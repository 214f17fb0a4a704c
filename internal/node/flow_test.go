package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/dtn/dtntest"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// newTestFlow is a flow without a node around it, in the bubble that calls it: nothing but
// the seeds of text, whose functions are fns, and a store.
func newTestFlow(t *testing.T, d Durability, text string, fns map[string]gofn.Func, change func(*seed.Manifest)) *flow {
	t.Helper()
	all, err := dtntest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	s := pebble.InMemory(pebble.Config{})
	f := newFlow(Config{
		Name: "n1", Store: s, Durability: d, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Kinds: runner.Kinds{seed.Go: gofn.Kind(func(m seed.Manifest) gofn.Func { return fns[string(m.Name)] })},
	})
	f.landed = func([]*filling) {}
	f.noWorker = func(*host, error, []item) bool { return false }
	hosts := map[seed.Name]*host{}
	for _, a := range all {
		m := a.Manifest
		m.Kind, m.File, m.Workers = seed.Go, "", 1
		if change != nil {
			change(&m)
		}
		r, err := f.cfg.Kinds.Open(m, runner.Env{})
		if err != nil {
			t.Fatal(err)
		}
		h := f.newSeed(m, r)
		if err := f.openAll(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		hosts[m.Name] = h
	}
	snap := newSnapshot("n1", hosts, nil, nil, false)
	for _, h := range hosts {
		snap.connect(h)
	}
	f.snap.Store(snap)
	for _, h := range hosts {
		f.goroutines.Go(func() { f.pull(f.pulling, h, nil, f.store.Pull, whole) })
	}
	t.Cleanup(func() {
		f.stop()
		for _, h := range hosts {
			h.queue.close()
		}
		f.goroutines.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *flow) send(t *testing.T, state packet.State, data string) {
	t.Helper()
	if err := f.Inject(t.Context(), packet.Packet{State: state, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// inStore is what lies in the flow's store, by queue, in packets.
func (f *flow) inStore(t *testing.T) map[store.Queue]int {
	t.Helper()
	counts, err := f.store.Queues(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[store.Queue]int{}
	for _, c := range counts {
		out[c.Queue] = c.Packets
	}
	return out
}

// inBubbles runs a test in a bubble for each durability that needs no disk.
func inBubbles(t *testing.T, test func(t *testing.T, d Durability)) {
	for _, d := range []Durability{None, Memory} {
		t.Run(d.String(), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, d) }) })
	}
}

func TestFlowThroughAChain(t *testing.T) {
	inBubbles(t, func(t *testing.T, d Durability) {
		var ends, copies basket
		f := newTestFlow(t, d, `
			first: A:A -> A:B
			second: A:B -> A:C
			end: A:C ->
			copy: A:B ->
		`, map[string]gofn.Func{"first": give("1"), "second": give("2"), "end": ends.run, "copy": copies.run}, nil)
		var sent, twice, once []string
		for i := range 1000 {
			f.send(t, "A:A", fmt.Sprint(i))
			sent = append(sent, fmt.Sprint(i))
		}
		for _, s := range sent {
			once, twice = append(once, s+"1"), append(twice, s+"12")
		}
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		slices.Sort(once)
		slices.Sort(twice)
		ends.want(t, twice...)
		copies.want(t, once...)
		if left := f.inStore(t); len(left) > 0 {
			t.Errorf("in the store lies %v", left)
		}
	})
}

// TestFlowTriesAgain after the pauses that are documented, and then makes a dead letter.
func TestFlowTriesAgain(t *testing.T) {
	inBubbles(t, func(t *testing.T, d Durability) {
		begun := time.Now()
		var at []time.Duration
		var dead basket
		f := newTestFlow(t, d, `
			work: A:A ->
			bury: Error:work ->
		`, map[string]gofn.Func{"bury": dead.run, "work": func(context.Context, packet.Packet, gofn.Emit) error {
			at = append(at, time.Since(begun))
			return errors.New("no such galaxy")
		}}, func(m *seed.Manifest) { m.Retries = 5 })
		f.send(t, "A:A", "x")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		pauses := []time.Duration{0, time.Second, 5 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute}
		if len(at) != len(pauses) {
			t.Fatalf("it ran at %v", at)
		}
		for i, before := range pauses[1:] {
			if got := at[i+1] - at[i]; got < before*3/4 || got > before*5/4+time.Second {
				t.Errorf("attempt %d came %v after the one before; expected %v, a quarter more or less", i+2, got, before)
			}
		}
		if dead.count() != 1 || dead.got[0].Fault.Attempts != len(pauses) || dead.got[0].Data != "x" {
			t.Errorf("dead letters: %+v", dead.got)
		}
	})
}

// TestFlowSpills: what a slow seed has no room for lies in the store meanwhile, and what
// comes from there is not lost behind it.
func TestFlowSpills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total = 5000
		var got basket
		f := newTestFlow(t, Memory, `
			many: A:A -> A:B
			slow: A:B ->
		`, map[string]gofn.Func{
			"many": func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
				for i := range total {
					if err := emit("", fmt.Sprint(i)); err != nil {
						return err
					}
				}
				return nil
			},
			"slow": func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
				time.Sleep(10 * time.Millisecond)
				return got.run(ctx, in, emit)
			},
		}, nil)
		f.send(t, "A:A", "go")
		time.Sleep(time.Second)
		synctest.Wait()
		if there := f.inStore(t)[store.Inbox("slow")]; there < total/2 {
			t.Errorf("%d of %d packets lie in the store; there is no room for most in memory", there, total)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		seen := map[string]bool{}
		for _, data := range got.data() {
			seen[data] = true
		}
		if len(seen) != total || got.count() != total {
			t.Errorf("%d packets came, %d different ones; expected %d", got.count(), len(seen), total)
		}
		if left := f.inStore(t); len(left) > 0 {
			t.Errorf("in the store lies %v", left)
		}
	})
}

// TestFlowWithoutAnAcceptor stores what nobody takes, under its state, with the data
// unchanged.
func TestFlowWithoutAnAcceptor(t *testing.T) {
	inBubbles(t, func(t *testing.T, d Durability) {
		f := newTestFlow(t, d, "work: A:A -> A:B", map[string]gofn.Func{"work": give("!")}, nil)
		f.send(t, "A:A", "x")
		f.send(t, "Galaxy:SPIRAL", "M 51")
		time.Sleep(time.Second)
		synctest.Wait()
		var found []string
		for _, state := range []packet.State{"A:B", "Galaxy:SPIRAL"} {
			for r, err := range f.frames(t.Context(), store.Waiting(state), 0) {
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range r.packets {
					found = append(found, fmt.Sprint(p.State, " ", p.Data, " ", p.Hops()))
				}
			}
		}
		if got, want := strings.Join(found, ", "), "A:B x! 1, Galaxy:SPIRAL M 51 0"; got != want {
			t.Errorf("there wait %s; expected %s", got, want)
		}
		if left := f.inStore(t); len(left) != 2 {
			t.Errorf("in the store lies %v", left)
		}
	})
}

// TestFlowTowardsAGoal takes no way that leads elsewhere, and goes on beyond the goal.
func TestFlowTowardsAGoal(t *testing.T) {
	for goal, want := range map[packet.State]string{
		"":    "end:x end:xr aside:x",
		"A:A": "end:x end:xr aside:x", // it is there already
		"A:B": "end:xr",
	} {
		t.Run(string("to "+goal), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var got []string
				note := func(name string) gofn.Func {
					return func(_ context.Context, in packet.Packet, _ gofn.Emit) error {
						mu.Lock()
						defer mu.Unlock()
						got = append(got, name+":"+in.Data)
						return nil
					}
				}
				f := newTestFlow(t, Memory, `
					right: A:A -> A:B
					aside: A:A ->
					end: A:A | A:B ->
				`, map[string]gofn.Func{"right": give("r"), "aside": note("aside"), "end": note("end")}, nil)
				if err := f.Inject(t.Context(), packet.Packet{State: "A:A", Data: "x", Wish: &packet.Wish{Goal: goal}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				expected := map[string]bool{}
				for _, w := range strings.Fields(want) {
					expected[w] = true
				}
				seen := map[string]bool{}
				for _, g := range got {
					seen[g] = true
				}
				if !maps.Equal(seen, expected) || len(got) != len(expected) {
					t.Errorf("%v; expected %s", got, want)
				}
			})
		})
	}
}

// TestFlowEnds while a run goes on: what is under way stays in the store for the next start.
func TestFlowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		f := newTestFlow(t, Memory, "work: A:A ->", map[string]gofn.Func{"work": func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
			runs.Add(1)
			<-ctx.Done()
			return ctx.Err()
		}}, nil)
		for i := range 10 {
			f.send(t, "A:A", fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if runs.Load() != 1 {
			t.Fatalf("%d runs have begun", runs.Load())
		}
		f.stop()
		synctest.Wait()
		if there := f.inStore(t)[store.Inbox("work")]; there != 10 {
			t.Errorf("%d packets lie in the store; expected all 10", there)
		}
	})
}
