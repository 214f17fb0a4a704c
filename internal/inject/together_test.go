package inject

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// forgetful is a network whose batches are never safe.
type forgetful struct{ network }

func (n *forgetful) Batch() Batch { return lost{alone(n.Inject)} }

type lost struct{ together }

func (lost) Flush(context.Context) error { return errNoMore }

func (lost) Stored(context.Context, packet.ID) (bool, error) { return false, nil }

// TestTogether: small files are taken many at a time, in their order, beside one that is
// large; what is not known to be safe stays.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, _ := folder(t, Config{State: state}, n)
		var want []string
		then := time.Unix(1e9, 0)
		for i := range 3*maxTogether + 1 {
			name, text := fmt.Sprint(i), fmt.Sprint(i)
			if i == maxTogether/2 {
				text = strings.Repeat("x", smallFile+1)
			}
			put(t, f.path(name), text)
			if err := os.Chtimes(f.path(name), then, then.Add(time.Duration(i)*time.Second)); err != nil {
				t.Fatal(err)
			}
			want = append(want, text)
		}
		_, stop := follow(t, f)
		after(3 * time.Second)
		if got := n.data(); !slices.Equal(got, want) {
			t.Errorf("took %d files; expected %d, in their order", len(got), len(want))
		}
		if left := names(t, f.Dir()); !slices.Equal(left, []string{doneDir}) {
			t.Errorf("left are %q", left)
		}
		end(t, stop)

		lossy := &forgetful{}
		f, j := folder(t, Config{State: state}, lossy)
		put(t, f.path("x"), "x")
		_, stop = follow(t, f)
		after(3 * time.Second)
		if err := stop(); !errors.Is(err, errNoMore) || !there(f.path("x")) || j.Count("stays in the rx folder", f.path("x")) != 1 {
			t.Errorf("%v; expected that the file stays\n%s", err, j)
		}
	})
}

// A renamer is a network in which a new version takes the place of a file once its
// packet is on its way.
type renamer struct {
	network
	over func()
}

func (n *renamer) Batch() Batch {
	return together{func(ctx context.Context, p packet.Packet, with []store.Record) error {
		err := n.take(ctx, p, with)
		n.over()
		return err
	}}
}

// TestRenamedOver: a file that takes the place of one in hand is taken as well.
func TestRenamedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &renamer{}
		f, j := folder(t, Config{State: state}, n)
		next := filepath.Join(t.TempDir(), "next")
		put(t, next, "two")
		n.over = func() {
			if there(next) {
				if err := os.Rename(next, f.path("x")); err != nil {
					t.Error(err)
				}
			}
		}
		put(t, f.path("x"), "one")
		_, stop := follow(t, f)
		after(30 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("took %q\n%s", got, j)
		}
		if left := names(t, f.Dir()); !slices.Equal(left, []string{doneDir}) {
			t.Errorf("left are %q", left)
		}
		end(t, stop)
	})
}

// A full network takes some packets, and has the others wait until they are withdrawn.
type full struct {
	network
	room atomic.Int64
}

func (n *full) Batch() Batch { return &fullBatch{on: n} }

type fullBatch struct {
	on     *full
	put    []packet.Packet
	stored map[packet.ID]bool
}

func (b *fullBatch) Put(_ context.Context, p packet.Packet, _ ...store.Record) error {
	b.put = append(b.put, p)
	return nil
}

func (b *fullBatch) Flush(ctx context.Context) error {
	b.stored = map[packet.ID]bool{}
	for _, p := range b.put {
		for b.on.room.Load() == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
		}
		b.on.room.Add(-1)
		b.stored[p.ID] = true
		if err := b.on.Inject(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (b *fullBatch) Stored(_ context.Context, id packet.ID) (bool, error) { return b.stored[id], nil }

// TestAFullNetwork: what it took of a batch is moved, and the others come again when there
// is room; each once.
func TestAFullNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &full{}
		n.room.Store(3)
		f, j := folder(t, Config{State: state}, n)
		var want []string
		for i := range 10 {
			put(t, f.path(fmt.Sprint(i)), fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		_, stop := follow(t, f)
		after(time.Minute)
		if got := f.Counts().Taken; got != 3 || len(n.data()) != 3 {
			t.Errorf("%d files are taken, of %d packets; expected 3\n%s", got, len(n.data()), j)
		}
		n.room.Store(100)
		after(time.Minute)
		got := n.data()
		slices.Sort(got)
		if left := names(t, f.Dir()); !slices.Equal(got, want) || !slices.Equal(left, []string{doneDir}) {
			t.Errorf("took %q; left are %q\n%s", got, left, j)
		}
		n.room.Store(2)
		for _, name := range []string{"a", "b", "c"} {
			put(t, f.path(name), name)
		}
		after(3 * time.Second)
		if err := stop(); err != nil || f.Counts().Taken != 12 {
			t.Errorf("at the end %d files are taken; expected 12; %v\n%s", f.Counts().Taken, err, j)
		}
	})
}
