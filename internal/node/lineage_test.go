package node

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// eachNetwork runs test with seeds of random networks: the same ones every
// time and a new one, or the one in PMK_TEST_SEED.
func eachNetwork(t *testing.T, same int, test func(t *testing.T, rnd *rand.Rand)) {
	seeds := []uint64{rand.Uint64() >> 32}
	for i := range same {
		seeds = append(seeds, uint64(i))
	}
	if text := os.Getenv("PMK_TEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{n}
	}
	for _, n := range seeds {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			test(t, rand.New(rand.NewPCG(n, 0)))
		})
	}
}

// A trial is a random network with random packets for it and what is to become
// of them.
type trial struct {
	*model
	rec   *recorder
	roots []packet.Packet
	want  outcome
}

func newTrial(rnd *rand.Rand, roots int) *trial {
	tr := &trial{model: newModel(rnd), rec: newRecorder(pebble.InMemory(pebble.Config{}))}
	tr.rec.due = tr.due(tr.rec)
	tr.want = outcome{runs: map[ranOn]int{}, waits: map[waitsAt]int{}}
	for i := 0; i < roots && tr.want.total < maxTree/4; i++ {
		p := packet.Packet{ID: packet.HashID("root", strconv.Itoa(i)), Data: strconv.Itoa(2 + rnd.IntN(4))}
		p.State = packet.State("T:S" + strconv.Itoa(rnd.IntN(8)))
		tr.roots = append(tr.roots, p)
		tr.expect(&tr.want, &p)
	}
	return tr
}

// node makes a node on the trial's store; its late seeds are not hosted.
func (tr *trial) node(t *testing.T, d Durability) *Node {
	n := New(Config{Name: "test", Run: "run", Store: tr.rec, Durability: d, Kinds: runner.Kinds{seed.Go: gofn.Kind(func(m seed.Manifest) gofn.Func {
		return tr.fn(tr.seed(m.Name))
	})}})
	tr.host(t, n, false)
	return n
}

// host hosts the trial's seeds, late ones or the others.
func (tr *trial) host(t *testing.T, n *Node, late bool) {
	for _, s := range tr.seeds {
		if s.late != late {
			continue
		}
		if err := n.Host(context.Background(), s.Manifest)[0]; err != nil {
			t.Fatal(err)
		}
	}
}

// inject puts roots in from a few goroutines. It returns how many are in.
func inject(ctx context.Context, n *Node, roots []packet.Packet) error {
	const senders = 4
	var group errgroup.Group
	for k := range senders {
		group.Go(func() error {
			in := n.Intake()
			for i := k; i < len(roots); i += senders {
				if err := in.Put(ctx, roots[i]); err != nil {
					return err
				}
			}
			return in.Flush(ctx)
		})
	}
	return group.Wait()
}

// running runs n until the returned function is called.
func running(t *testing.T, n *Node) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func finish(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := n.Finish(ctx); err != nil {
		for _, s := range n.Status(context.Background()).Seeds {
			t.Logf("%s: in %d, out %d, failed %d, queued %d, stored %d, running %d", s.Manifest.Name, s.In, s.Out, s.Failed, s.Queued, s.Stored, s.Running)
		}
		t.Fatal("it does not come to an end: ", err)
	}
}

// waits are what waits in the store; all that is in there has to.
func (tr *trial) waits(t *testing.T) map[waitsAt]int {
	t.Helper()
	places, err := tr.rec.Queues(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waits := map[waitsAt]int{}
	for _, c := range places {
		state, ok := c.Queue.State()
		if !ok {
			t.Errorf("%d packets are left in %s", c.Packets, c.Queue)
			continue
		}
		tr.rec.Look(t.Context(), c.Queue, 0, func(r store.Stored) bool {
			_, ps, err := packet.ParseFrame(r.Data)
			if err != nil {
				t.Error(err)
			}
			for i := range ps {
				if ps[i].State != state {
					t.Errorf("a packet of the state %s waits in %s", ps[i].State, state)
				}
				waits[waitsAt{state, ps[i].ID}]++
			}
			return true
		})
	}
	return waits
}

// compare holds what was counted to what the oracle says; once asks for each
// as often, otherwise at least once is enough.
func compare[K comparable](t *testing.T, what string, got, want map[K]int, once bool) {
	t.Helper()
	wrong := 0
	for k := range want {
		if got[k] == want[k] || !once && got[k] > 0 {
			continue
		}
		if wrong++; wrong < 4 {
			t.Errorf("%s: %v: %d times, want %d", what, k, got[k], want[k])
		}
	}
	for k := range got {
		if want[k] == 0 {
			if wrong++; wrong < 4 {
				t.Errorf("%s: %v: %d times, want none", what, k, got[k])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%s: %d of %d are wrong", what, wrong, len(want))
	}
}

// TestLineage holds random networks to a plain oracle: each packet gets to
// each seed that it is for once, what nobody takes waits, and no frame ends
// before all that descends from it has ended or lies in the store.
func TestLineage(t *testing.T) {
	eachNetwork(t, 12, func(t *testing.T, rnd *rand.Rand) {
		tr := newTrial(rnd, 400)
		n := tr.node(t, []Durability{None, Memory, Memory}[rnd.IntN(3)])
		end := running(t, n)
		defer end()
		if err := inject(t.Context(), n, tr.roots); err != nil {
			t.Fatal(err)
		}
		tr.host(t, n, true)
		finish(t, n)
		end()
		compare(t, "runs", tr.runs, tr.want.runs, true)
		compare(t, "waiting", tr.waits(t), tr.want.waits, true)
		tr.check(t)
		if lost := n.abandoned.Load(); lost > 0 {
			t.Errorf("%d packets were given up", lost)
		}
	})
}

// check says what the recorder found wrong, and whether every frame has ended.
func (tr *trial) check(t *testing.T) {
	t.Helper()
	for _, why := range tr.rec.complaints() {
		t.Error(why)
	}
	if n := len(tr.rec.leased); n > 0 {
		t.Errorf("%d frames are leased still", n)
	}
	sum := map[store.Queue]int{}
	for s, n := range tr.rec.lies {
		if _, waits := s.place.State(); !waits {
			sum[s.place] += n
		}
	}
	maps.DeleteFunc(sum, func(_ store.Queue, n int) bool { return n == 0 })
	if len(sum) > 0 {
		t.Errorf("not every frame has ended: %v", sum)
	}
	t.Logf("%d roots, %d packets, %d runs, %d frames, %d given back", len(tr.roots), tr.want.total, len(tr.want.runs), tr.rec.appended, tr.rec.released)
}
