package jetstream

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
)

// TestServerGivesUp shuts the server's storage down, as a full disk does: the
// store says so, and goes on by itself once there is room, with all that was
// leased.
func TestServerGivesUp(t *testing.T) {
	var free atomic.Int64
	free.Store(10 << 30)
	s := open(t, Config{Free: func() (int64, int64, error) { return free.Load(), 100 << 30, nil }})
	for _, data := range []string{"acked down", "acked later", "held", "released", "free"} {
		add(t, s, greet, data)
	}
	leases := map[string]store.Lease{}
	for range 4 {
		l := pullOne(t, s, greet)
		leases[string(l.Data())] = l
	}
	waits := make(chan store.Lease, 1)
	go func() { waits <- pullOne(t, s, "in.other") }()

	free.Store(1 << 20)
	if err := s.eng.srv.ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	f := store.Frame{Data: []byte("new"), Packets: 1}
	testenv.Eventually(t, 5*time.Second, "the store says that it is down", func() bool {
		return s.State().Err != nil
	})
	testenv.Eventually(t, 5*time.Second, "appends fail", func() bool {
		err := s.Append(t.Context(), greet, f)
		return errors.Is(err, store.ErrBroken) || errors.Is(err, store.ErrFull)
	})
	if err := leases["acked down"].Ack(); err != nil {
		t.Error(err)
	}
	if err := leases["released"].Release(0); err != nil {
		t.Error(err)
	}
	time.Sleep(300 * time.Millisecond) // it must not come back while there is no room
	if s.State().Err == nil {
		t.Error("the store says that it is fine without room")
	}
	free.Store(10 << 30)
	testenv.Eventually(t, 10*time.Second, "the store goes on", func() bool {
		return s.State().Err == nil && s.Append(t.Context(), "in.other", f) == nil
	})
	if err := leases["acked later"].Ack(); err != nil {
		t.Error(err)
	}
	if l := <-waits; string(l.Data()) != "new" {
		t.Errorf("the pull that waited got %q", l.Data())
	}
	got := map[string]bool{}
	for range 2 {
		l := pullOne(t, s, greet)
		got[string(l.Data())] = true
		if err := l.Ack(); err != nil {
			t.Error(err)
		}
	}
	if !got["released"] || !got["free"] {
		t.Errorf("came again: %v", got)
	}
	empty(t, s, greet, 500*time.Millisecond)
	if err := leases["held"].Ack(); err != nil {
		t.Error(err)
	}
	testenv.Eventually(t, 5*time.Second, "nothing is left", func() bool {
		counts, err := s.Places(t.Context())
		return err == nil && len(counts) == 1 && counts[0].Place == "in.other"
	})
	if used := s.State().Used; used != 3 {
		t.Errorf("used %d bytes; expected 3", used)
	}
}

// TestSmallDisk fills a real file system.
func TestSmallDisk(t *testing.T) {
	dir := smallDisk(t, 24<<20)
	// The floor of a sixteenth would keep the disk from being full.
	blind := func() (int64, int64, error) { return 1 << 40, 1 << 40, nil }
	s := open(t, Config{Dir: dir, Free: blind})
	data := make([]byte, 256<<10)
	var stored int
	var err error
	for ; stored < 200; stored++ {
		if err = s.Append(t.Context(), greet, store.Frame{Data: data, Packets: 1}); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrBroken) {
		t.Fatalf("after %d frames: %v; expected that the store is broken", stored, err)
	}
	t.Logf("full after %d frames: %v", stored, err)
	// What lies there can be taken out, and then there is room again.
	for n := range stored {
		l := pullOne(t, s, greet)
		if len(l.Data()) != len(data) {
			t.Fatalf("frame %d has %d bytes", n, len(l.Data()))
		}
		if err := l.Ack(); err != nil {
			t.Error(err)
		}
	}
	testenv.Eventually(t, 30*time.Second, "there is room again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return s.Append(ctx, greet, store.Frame{Data: data, Packets: 1}) == nil
	})
}

// TestGoroutinesEnd opens and closes stores.
func TestGoroutinesEnd(t *testing.T) {
	count := func() int { return runtime.NumGoroutine() }
	cycle := func() {
		s, err := Open(t.Context(), Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		add(t, s, greet, "a")
		add(t, s, greet, "b")
		_ = pullOne(t, s, greet).Ack()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := s.Pull(ctx, "in.nothing", 1)
			ended <- err
		}()
		_ = pullOne(t, s, greet)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("a pull that waited ended with %v", err)
		}
		cancel()
	}
	cycle()
	before := count()
	for range 5 {
		cycle()
	}
	testenv.Eventually(t, 10*time.Second, "all goroutines end", func() bool { return count() <= before+2 })
}
