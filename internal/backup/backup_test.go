package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// A rig is a data folder in use.
type rig struct {
	Config
	t *testing.T
}

func open(t *testing.T, dir string) *rig {
	t.Helper()
	own, err := folder.Open(t.Context(), dir, folder.Node{Name: "one", Group: "lab", StoreSize: 1 << 30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	blobs := blob.Open(blob.Config{Dir: filepath.Join(dir, folder.BlobsDir), Sync: true})
	s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), blobs.Close(), own.Close()); err != nil {
			t.Error(err)
		}
	})
	return &rig{Config: Config{From: own, Store: s, Blobs: blobs, Name: "two"}, t: t}
}

// put stores a packet durably, every tenth with large data.
func (r *rig) put(ctx context.Context, queue store.Queue, n int) error {
	p := packet.Packet{ID: packet.HashID("test", string(queue), fmt.Sprint(n)), State: "T:A", Data: fmt.Sprint(n)}
	f := store.Frame{Packets: 1}
	if n%10 == 0 {
		b, err := r.Blobs.Put(ctx, bytes.NewReader(bytes.Repeat([]byte(fmt.Sprintln(queue, n)), 100)), 1<<20)
		if err != nil {
			return err
		}
		p.Data, p.Blob = "", &b
		f.Blobs = []packet.Sum{b.Sum}
	}
	f.Data = packet.AppendFrame(nil, packet.FrameHeader{}, []packet.Packet{p})
	return r.Store.Commit(ctx, &store.Tx{Append: []store.Append{{To: queue, Frame: f}}, Durable: true})
}

// end takes a packet out, and its large data.
func (r *rig) end(ctx context.Context, queue store.Queue) error {
	leases, err := r.Store.Pull(ctx, queue, 1)
	if err != nil {
		return err
	}
	_, ps, err := packet.ParseFrame(leases[0].Data())
	if err != nil {
		return err
	}
	if err := leases[0].Ack(); err != nil || ps[0].Blob == nil {
		return err
	}
	return r.Blobs.Drop(ps[0].Blob.Sum)
}

// TestUnderLoad makes backups while packets come and go, and looks whether all is in
// each that was there before and stayed.
func TestUnderLoad(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "d"))
	if err := r.Blobs.Sweep(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var g errgroup.Group
	for i := range 3 {
		g.Go(func() error {
			queue := store.Queue(fmt.Sprintf("in.load%d", i))
			for n := 0; ctx.Err() == nil; n++ {
				err := r.put(t.Context(), queue, n)
				if n >= 20 && err == nil {
					err = r.end(t.Context(), queue)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	stored := 0
	for round := range 5 {
		for range 50 {
			if err := r.put(t.Context(), "in.stays", stored); err != nil {
				t.Fatal(err)
			}
			stored++
		}
		dir := filepath.Join(t.TempDir(), "new", fmt.Sprint(round))
		var last Progress
		done, err := Run(t.Context(), r.Config, dir, func(p Progress) { last = p })
		if err != nil {
			t.Fatal(err)
		}
		if done != last || done.Large != done.Of || done.Missing > 0 || done.Large < stored/10 {
			t.Errorf("backup %d has %+v", round, done)
		}
		lookAt(t, dir, stored)
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// lookAt opens a backup as a node does, and reads all of it.
func lookAt(t *testing.T, dir string, stored int) {
	t.Helper()
	if r, err := pebble.Check(t.Context(), dir, nil); err != nil || len(r.Damage) > 0 {
		t.Errorf("%v, %v", r.Damage, err)
	}
	b := open(t, dir)
	if n := b.From.Node; n.Name != "two" || n.Group != "lab" || n.StoreSize != 1<<30 {
		t.Errorf("the node of the backup is %+v", n)
	}
	counts, err := b.Store.Queues(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		frames := 0
		if err := b.Store.Look(t.Context(), c.Queue, 0, func(f store.Stored) bool {
			frames++
			_, ps, err := packet.ParseFrame(f.Data)
			if err != nil {
				t.Error(err)
				return false
			}
			if ps[0].Blob != nil {
				file, err := b.Blobs.Open(*ps[0].Blob)
				if err != nil {
					t.Errorf("frame %d of %s: %v", f.Number, c.Queue, err)
					return false
				}
				defer file.Close()
				if _, err := io.Copy(io.Discard, packet.Verify(*ps[0].Blob, file)); err != nil {
					t.Error(err)
				}
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if frames != c.Frames || c.Queue == "in.stays" && frames != stored {
			t.Errorf("%s has %d frames, and %d are counted; %d were stored in in.stays", c.Queue, frames, c.Frames, stored)
		}
	}
}

// TestCutOff ends a backup in the midst of it: nothing stays of it, and large data
// that ended meanwhile goes.
func TestCutOff(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "d"))
	if err := r.Blobs.Sweep(); err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		if err := r.put(t.Context(), "in.a", n); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	parent := t.TempDir()
	var once sync.Once
	_, err := Run(ctx, r.Config, filepath.Join(parent, "b"), func(p Progress) {
		if p.Large == 1 {
			once.Do(func() {
				for range 30 {
					if err := r.end(t.Context(), "in.a"); err != nil {
						t.Error(err)
					}
				}
				cancel()
			})
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if used := r.Blobs.Used(); used != 0 {
		t.Errorf("%d bytes of large data are left, which nobody holds", used)
	}
}
