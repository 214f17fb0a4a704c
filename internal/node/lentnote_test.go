package node

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestNotesOfLeasesOutliveAKill: they are in the files soon, though nobody waits for the
// disk and nothing else is stored.
func TestNotesOfLeasesOutliveAKill(t *testing.T) {
	t.Parallel()
	dir, inbox := t.TempDir(), store.Inbox("work")
	life(t, dir, func(w *world) {
		appendFrame(t, w.store, inbox, packet.FrameHeader{}, somePackets(1, "T:A")...)
		if leases, err := w.Serve(t.Context(), "b", packet.NewID()).Pull(t.Context(), inbox, 1); err != nil || len(leases) != 1 {
			t.Fatal(leases, err)
		}
		testenv.Eventually(t, 20*time.Second, "a kill would leave the note", func() bool {
			as := t.TempDir() // the files as they are
			if err := os.CopyFS(as, os.DirFS(dir)); err != nil {
				return false // one has just gone
			}
			s, err := pebble.Open(t.Context(), pebble.Config{Dir: as})
			if err != nil {
				return false
			}
			defer s.Close()
			notes := 0
			err = s.Scan(t.Context(), lentTable, "", func(string, []byte) bool { notes++; return true })
			return err == nil && notes == 1
		})
	})
}

// TestWhatWasLeasedWaitsForItsHolder: a node that starts again has what a peer had leased
// wait until the peer says which of it runs still.
func TestWhatWasLeasedWaitsForItsHolder(t *testing.T) {
	t.Parallel()
	dir, boot := t.TempDir(), packet.NewID()
	inbox := store.Inbox("work")
	var leased, done, runs store.Ref
	life(t, dir, func(w *world) {
		appendFrame(t, w.store, inbox, packet.FrameHeader{}, somePackets(1, "T:A")...)
		appendFrame(t, w.store, inbox, packet.FrameHeader{}, somePackets(1, "T:A")...)
		appendFrame(t, w.store, inbox, packet.FrameHeader{}, somePackets(1, "T:A")...)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		leases, err := w.Serve(ctx, "b", boot).Pull(ctx, inbox, 3)
		if err != nil || len(leases) != 3 {
			t.Fatal(leases, err)
		}
		leased, done, runs = leases[0].(*served).ref(), leases[1].(*served).ref(), leases[2].(*served).ref()
		if err := leases[1].Ack(); err != nil {
			t.Fatal(err)
		}
	})
	life(t, dir, func(w *world) {
		var got basket
		w.host(w.seed("work", "T:A ->", got.run))
		testenv.Eventually(t, 10*time.Second, "the node knows what is leased", func() bool {
			select {
			case <-w.known:
				return true
			default:
				return false
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := w.Serve(ctx, "b", boot)
		if n := got.count(); n > 0 {
			t.Errorf("%d packets run here that b may run still", n)
		}
		leases, err := b.Resume(ctx, []store.Ref{runs, done})
		if err != nil || leases[0] == nil || leases[1] != nil {
			t.Fatalf("resumed are %v, %v; expected the first alone", leases, err)
		}
		if d := leases[0].Deliveries(); d != 1 {
			t.Errorf("it is delivery %d: that the owner ended counts as a death", d)
		}
		testenv.Eventually(t, 10*time.Second, "what b does not have runs here", func() bool { return got.count() == 1 })
		if err := leases[0].Ack(); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 10*time.Second, "nothing is left", func() bool { n, err := w.count(t.Context()); return err == nil && n == 0 })
		if got.count() != 1 {
			t.Errorf("%d packets ran here; expected frame %d alone", got.count(), leased.Number)
		}
		notes := 0
		if err := w.store.Scan(t.Context(), lentTable, "", func(string, []byte) bool { notes++; return true }); err != nil || notes > 0 {
			t.Errorf("%d notes of leases are left, %v", notes, err)
		}
	})
}

// TestALapsedLeaseIsNoDeath: however often a peer falls silent with a packet, that does
// not make a dead letter of it. That it dies does.
func TestALapsedLeaseIsNoDeath(t *testing.T) {
	t.Parallel()
	w := newCircle(t).node("a", Disk)
	inbox := store.Inbox("work")
	appendFrame(t, w.store, inbox, packet.FrameHeader{}, somePackets(1, "T:A")...)
	boot := packet.NewID()
	// lease has the peer lease the frame over a connection of its own.
	lease := func(boot packet.ID) (int, context.CancelFunc) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		leases, err := w.Serve(ctx, "b", boot).Pull(ctx, inbox, 1)
		if err != nil {
			t.Fatal(err)
		}
		return leases[0].Deliveries(), cancel
	}
	for i := range 2 * maxDeliveries {
		got, cut := lease(boot)
		if got != 1 {
			t.Fatalf("after %d leases have lapsed it is delivery %d", i, got)
		}
		cut()
		w.lender.mu.Lock()
		l := w.lender.to[boot]
		w.lender.mu.Unlock()
		testenv.Eventually(t, 10*time.Second, "the connection has ended", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.open) == 0 })
		l.remove(lapsed, all)
	}
	if n := w.Lapsed(); n != 2*maxDeliveries {
		t.Errorf("%d leases have lapsed; expected %d", n, 2*maxDeliveries)
	}
	for want := 1; want <= 3; want++ {
		got, cut := lease(packet.NewID())
		if got != want {
			t.Errorf("after %d deaths it is delivery %d", want-1, got)
		}
		cut()
	}
}

// TestAPeerThatHasDiedUnseen: its new start is connected before the old connection was
// seen to have ended. What the old one had does not wait for it then.
func TestAPeerThatHasDiedUnseen(t *testing.T) {
	t.Parallel()
	w := newCircle(t).node("a", Disk)
	inbox := store.Inbox("work")
	appendFrame(t, w.store, inbox, packet.FrameHeader{}, somePackets(1, "T:A")...)
	before, cut := context.WithCancel(t.Context())
	if _, err := w.Serve(before, "b", packet.NewID()).Pull(before, inbox, 1); err != nil {
		t.Fatal(err)
	}
	g := w.Serve(t.Context(), "b", packet.NewID())
	cut()
	ctx, cancel := context.WithTimeout(t.Context(), minOutlived/2)
	defer cancel()
	leases, err := g.Pull(ctx, inbox, 1)
	if err != nil {
		t.Fatal(err)
	}
	if d := leases[0].Deliveries(); d != 2 {
		t.Errorf("it is delivery %d; expected 2, since the one before has died with it", d)
	}
}
