package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/packet"
)

// follow runs the folder's loop in the bubble of a synctest, with the test as
// its watcher.
func follow(t *testing.T, f *Folder) (chan<- notice, func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	notices := make(chan notice)
	ended := make(chan error, 1)
	go func() { ended <- f.loop(ctx, ctx, notices) }()
	stop := func() error {
		cancel()
		return <-ended
	}
	synctest.Wait()
	return notices, stop
}

// after lets time pass in the bubble.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func end(t *testing.T, stop func() error) {
	t.Helper()
	if err := stop(); err != nil {
		t.Errorf("the loop ended with %v", err)
	}
}

func TestThereAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &taker{}
		f, _ := folder(t, Config{State: state}, n)
		put(t, f.path("a"), "newer")
		put(t, f.path("b"), "older")
		put(t, f.path("c"), "grow")
		then := time.Unix(1e9, 0)
		if err := os.Chtimes(f.path("b"), then, then); err != nil {
			t.Fatal(err)
		}
		_, stop := follow(t, f)
		after(1 * time.Second)
		put(t, f.path("c"), "growing")
		after(999 * time.Millisecond)
		if got := n.data(); len(got) != 0 {
			t.Fatalf("after 1.999 s %q was taken", got)
		}
		after(2 * time.Millisecond)
		if got := n.data(); !slices.Equal(got, []string{"older", "newer"}) {
			t.Fatalf("after 2 s %q was taken; expected the two that did not change, the older first", got)
		}
		after(2 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"older", "newer", "growing"}) {
			t.Errorf("in the end %q was taken", got)
		}
		end(t, stop)
	})
}

func TestNoticeBeatsSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &taker{}
		f, _ := folder(t, Config{State: state}, n)
		put(t, f.path("a"), "a")
		put(t, f.path("b"), "b")
		notices, stop := follow(t, f)
		notices <- notice{completed, "b"}
		notices <- notice{completed, "b"} // twice is nothing
		notices <- notice{completed, "never there"}
		synctest.Wait()
		if got := n.data(); !slices.Equal(got, []string{"b"}) {
			t.Fatalf("took %q at once", got)
		}
		after(time.Minute)
		if got := n.data(); !slices.Equal(got, []string{"b", "a"}) {
			t.Errorf("took %q; expected each once", got)
		}
		end(t, stop)
	})
}

func TestAfterAnOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &taker{}
		f, _ := folder(t, Config{State: state}, n)
		notices, stop := follow(t, f)
		put(t, f.path("unseen"), "unseen")
		after(time.Minute)
		if got := n.data(); len(got) != 0 {
			t.Fatalf("took %q of which nothing was told", got)
		}
		notices <- notice{what: missed}
		after(2 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"unseen"}) {
			t.Errorf("took %q after the overflow", got)
		}
		end(t, stop)
	})
}

func TestHardLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &taker{}
		f, _ := folder(t, Config{State: state}, n)
		notices, stop := follow(t, f)
		outside := t.TempDir() + "/f"
		put(t, outside, "linked")
		if err := os.Link(outside, f.path("linked")); err != nil {
			t.Fatal(err)
		}
		put(t, f.path("open"), "not closed yet")
		notices <- notice{appeared, "linked"}
		notices <- notice{appeared, "open"}
		after(time.Minute)
		if got := n.data(); !slices.Equal(got, []string{"linked"}) {
			t.Errorf("took %q; expected the link, and not what may still be written", got)
		}
		end(t, stop)
	})
}

func TestLockedFileWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &taker{}
		f, _ := folder(t, Config{State: state}, n)
		put(t, f.path("x"), "x")
		other, err := claim(f.path("x"))
		if err != nil {
			t.Fatal(err)
		}
		notices, stop := follow(t, f)
		notices <- notice{completed, "x"}
		after(10 * time.Second)
		if got := n.data(); len(got) != 0 {
			t.Fatalf("took %q, which another node has in hand", got)
		}
		other.Close()
		after(2 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"x"}) {
			t.Errorf("took %q once the other node has died", got)
		}
		end(t, stop)
	})
}

func TestMoreFilesThanRoom(t *testing.T) {
	s := newSettling(time.Hour)
	for i := range maxSettling {
		if !s.add(look{name: fmt.Sprint(i)}) {
			t.Fatalf("no room for file %d of %d", i, maxSettling)
		}
	}
	if s.add(look{name: "one more"}) || !s.more {
		t.Error("the list grows without bound")
	}
	if !s.add(look{name: "7"}) || len(s.queue) != maxSettling {
		t.Error("a file that is in the list was not known there")
	}

	synctest.Test(t, func(t *testing.T) {
		n := &taker{}
		f, _ := folder(t, Config{State: state}, n)
		put(t, f.path("left out"), "left out")
		s := newSettling(time.Second)
		s.add(look{name: "gone"})
		s.more = true
		after(time.Second)
		<-s.timer.C
		if err := f.settle(t.Context(), s); err != nil || s.byName["left out"] == nil || s.more {
			t.Errorf("once the list is through (%v), what was left out is not in it", err)
		}
	})
}

// gate is a network that is full until it is opened.
type gate struct {
	taker
	open chan struct{}
}

func (g *gate) Inject(ctx context.Context, p packet.Packet) error {
	select {
	case <-g.open:
		return g.taker.Inject(ctx, p)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) InjectData(ctx context.Context, p packet.Packet, r io.Reader, _ int64) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	p.Data = string(data)
	return g.Inject(ctx, p)
}

func TestStopFinishesTheFileInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &gate{open: make(chan struct{})}
		f, _ := folder(t, Config{State: state}, n)
		put(t, f.path("a"), "a")
		put(t, f.path("b"), "b")
		_, stop := follow(t, f)
		after(2 * time.Second) // a is in hand now, and the network full
		go func() {
			<-time.After(4 * time.Second)
			close(n.open)
		}()
		end(t, stop)
		if got := n.data(); !slices.Equal(got, []string{"a"}) || there(f.path("a")) || !there(f.path("b")) {
			t.Errorf("took %q; expected a, moved away, and b left where it is", got)
		}
	})
}

func TestStopDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &gate{open: make(chan struct{})}
		f, j := folder(t, Config{State: state}, n)
		put(t, f.path("a"), "a")
		_, stop := follow(t, f)
		after(2 * time.Second)
		before := time.Now()
		end(t, stop)
		if took := time.Since(before); took != 5*time.Second {
			t.Errorf("the end took %v; expected the 5 s of grace", took)
		}
		if !there(f.path("a")) || j.Count("stays in the rx folder", f.path("a")) != 1 {
			t.Error("the file that was not taken is to stay, with one line")
		}
	})
}

func TestSameIDsAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var first packet.ID
		ids := map[packet.ID]bool{}
		for run := range 3 {
			n := &taker{dies: run == 0}
			f, _ := folder(t, Config{Dir: dir, State: state}, n)
			if run != 1 { // at first, and another file of the name
				put(t, f.path("x"), "data")
			}
			_, stop := follow(t, f)
			after(2 * time.Second)
			if err := stop(); (err != nil) != n.dies {
				t.Error(err)
			}
			if len(n.took) != 1 {
				t.Fatalf("run %d took %d packets", run, len(n.took))
			}
			id := n.took[0].ID
			if run == 0 {
				first = id
			}
			if same := id == first; same != (run < 2) {
				t.Errorf("run %d: id %s, the first was %s", run, id, first)
			}
			ids[id] = true
		}
		if len(ids) != 2 {
			t.Errorf("%d ids; expected 2", len(ids))
		}
	})
}

func TestNetworkThatTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := folder(t, Config{State: state}, &refuser{room: 0})
		put(t, f.path("x"), "x")
		_, stop := follow(t, f)
		after(2 * time.Second)
		if err := stop(); !errors.Is(err, errNoMore) || !strings.Contains(err.Error(), f.path("x")) {
			t.Errorf("%v; expected what the network said, and the file", err)
		}
		if !there(f.path("x")) {
			t.Error("a file that was not taken is gone")
		}
	})
}

func TestFileThatCannotBeMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &taker{}
		f, j := folder(t, Config{State: state}, n)
		put(t, f.path(".done"), "a file where the folder should be")
		put(t, f.path("x"), "x")
		notices, stop := follow(t, f)
		for range 3 {
			notices <- notice{completed, "x"}
			notices <- notice{what: missed}
			after(5 * time.Second)
		}
		if got := n.data(); !slices.Equal(got, []string{"x"}) {
			t.Errorf("took %q; expected it once", got)
		}
		if c := j.Count("cannot be moved", f.path("x")); c != 1 {
			t.Errorf("%d lines; expected one", c)
		}
		end(t, stop)
	})
}

func TestUnreadableFile(t *testing.T) {
	if os.Getuid() == 0 {
		// Root reads everything; a socket is what nobody can open.
		if _, err := claim(socket(t)); err == nil || errors.Is(err, errAway) {
			t.Errorf("opened a socket: %v", err)
		}
		return
	}
	synctest.Test(t, func(t *testing.T) {
		n := &taker{}
		f, _ := folder(t, Config{State: state}, n)
		put(t, f.path("x"), "x")
		if err := os.Chmod(f.path("x"), 0); err != nil {
			t.Fatal(err)
		}
		_, stop := follow(t, f)
		after(2 * time.Second)
		end(t, stop)
		if why, err := os.ReadFile(f.path(".bad/x.why.txt")); err != nil || !strings.Contains(string(why), "permission denied") {
			t.Errorf("the text beside the file is %q, %v", why, err)
		}
	})
}

// socket makes a socket that nobody listens on.
func socket(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/s"
	if err := syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir() + "/rx"
		n := &taker{}
		f, _ := folder(t, Config{Dir: dir, State: state}, n)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- f.follow(ctx, poller{dir}) }()
		synctest.Wait()
		put(t, f.path("x"), "x")
		after(3500 * time.Millisecond)
		if got := n.data(); !slices.Equal(got, []string{"x"}) {
			t.Errorf("took %q", got)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, errGone) {
			t.Errorf("the folder is gone, and the poller says %v", err)
		}
	})
}
