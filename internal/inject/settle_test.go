package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
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
		n := &network{}
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

// TestAtOnce: where a file need not be seen unchanged, the notice is enough.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, _ := folder(t, Config{State: state, Quiet: atOnce}, n)
		notices, stop := follow(t, f)
		put(t, f.path("b"), "b")
		notices <- notice{completed, "b"}
		notices <- notice{completed, "b"} // twice is nothing
		notices <- notice{completed, "never there"}
		synctest.Wait()
		if got := n.data(); !slices.Equal(got, []string{"b"}) {
			t.Fatalf("took %q at once", got)
		}
		end(t, stop)
	})
}

// TestWrittenInSteps appends to a file that is closed each time, as a shell does, and
// touches one before it is written.
func TestWrittenInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, _ := folder(t, Config{State: state}, n)
		notices, stop := follow(t, f)
		put(t, f.path("touched"), "")
		notices <- notice{completed, "touched"}
		whole := ""
		for _, part := range []string{"one ", "two ", "three"} {
			whole += part
			put(t, f.path("x"), whole)
			notices <- notice{completed, "x"}
			after(1500 * time.Millisecond)
		}
		after(time.Second)
		if got := n.data(); !slices.Equal(got, []string{"one two three"}) {
			t.Fatalf("took %q; expected one packet of all parts", got)
		}
		after(30 * time.Second)
		put(t, f.path("touched"), "written")
		notices <- notice{completed, "touched"}
		after(time.Minute)
		if got := n.data(); !slices.Equal(got, []string{"one two three", "written"}) {
			t.Errorf("took %q; expected nothing of the empty file", got)
		}
		end(t, stop)
	})
}

// TestOpenForWriting: a file that nothing is written to for long, by a program that has
// it open, waits for that program.
func TestOpenForWriting(t *testing.T) {
	leases(t)
	for _, quiet := range []time.Duration{0, atOnce} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{}
			f, _ := folder(t, Config{State: state, Quiet: quiet}, n)
			file, err := os.Create(f.path("x"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.WriteString("part 1, "); err != nil {
				t.Fatal(err)
			}
			notices, stop := follow(t, f)
			notices <- notice{completed, "x"} // of another program's touch
			after(time.Hour)
			if got := n.data(); len(got) != 0 {
				t.Fatalf("took %q, which is being written", got)
			}
			if got, want := f.Counts(), (Counts{Changing: 1}); got != want {
				t.Errorf("counted %+v; expected %+v", got, want)
			}
			if _, err := file.WriteString("part 2"); err != nil {
				t.Fatal(err)
			}
			file.Close()
			after(5 * time.Second)
			if got := n.data(); !slices.Equal(got, []string{"part 1, part 2"}) {
				t.Errorf("took %q once it was closed", got)
			}
			if got, want := f.Counts(), (Counts{Taken: 1}); got != want {
				t.Errorf("counted %+v; expected %+v", got, want)
			}
			end(t, stop)
		})
	}
}

// TestOpenedWhileItIsRead: who begins to write to a file while it is read has it back.
func TestOpenedWhileItIsRead(t *testing.T) {
	leases(t)
	synctest.Test(t, func(t *testing.T) {
		n := &writer{}
		f, _ := folder(t, Config{State: state}, n)
		first := strings.Repeat("part 1", smallFile) // others are not read while the test can open them
		put(t, f.path("x"), first)
		n.path = f.path("x")
		_, stop := follow(t, f)
		after(10 * time.Second)
		if got := n.data(); len(got) != 0 || !there(f.path("x")) {
			t.Fatalf("took %q", got)
		}
		if _, err := n.file.WriteString(", part 2"); err != nil {
			t.Fatal(err)
		}
		n.file.Close()
		after(5 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{first + ", part 2"}) {
			t.Errorf("took %d packets once it was closed", len(got))
		}
		end(t, stop)
	})
}

// writer is a network that opens a file for writing before it reads it, once.
type writer struct {
	network
	path string
	file *os.File
}

func (n *writer) InjectData(ctx context.Context, p packet.Packet, r io.Reader, size int64, _ ...store.Record) error {
	if n.file == nil {
		file, err := os.OpenFile(n.path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		n.file = file
	}
	return n.network.InjectData(ctx, p, r, size)
}

// leases skips a test where the system does not tell who writes to a file.
func leases(t *testing.T) {
	t.Helper()
	path := t.TempDir() + "/x"
	put(t, path, "")
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := written(file); err != nil {
		testenv.Lacks(t, "a file system with leases", err)
	}
}

// TestBlind: a file whose writers nobody tells of is taken when it is quiet, and that is
// said once.
func TestBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, j := folder(t, Config{State: state}, n)
		pipe, writes, err := os.Pipe() // no lease on one
		if err != nil {
			t.Fatal(err)
		}
		defer pipe.Close()
		defer writes.Close()
		for range 2 {
			if f.written(pipe) {
				t.Error("a writer is made up")
			}
		}
		if c := j.Count("does not tell whether a program still writes", "2s", f.Dir()); c != 1 {
			t.Errorf("%d lines; expected one\n%s", c, j)
		}
	})
}

// TestChangedAfterItWasTaken: what is written to a file in .done is said, once.
func TestChangedAfterItWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, j := folder(t, Config{State: state}, n)
		for _, name := range []string{"x", "same", "deleted"} {
			put(t, f.path(name), "before")
		}
		_, stop := follow(t, f)
		after(3 * time.Second)
		if got := n.data(); len(got) != 3 {
			t.Fatalf("took %q", got)
		}
		put(t, f.path(".done/x"), "before and after")
		if err := os.Remove(f.path(".done/deleted")); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if c := j.Count("has changed after it was taken"); c != 1 || j.Count("has changed", f.path(".done/x")) != 1 {
			t.Errorf("%d lines; expected one\n%s", c, j)
		}
		put(t, f.path(".done/same"), "later")
		end(t, stop)
		if c := j.Count("has changed after it was taken", f.path(".done/same")); c != 1 {
			t.Errorf("%d lines at the end; expected one", c)
		}
	})
}

// TestOddNames: a name that is no UTF-8 is made so.
func TestOddNames(t *testing.T) {
	for name, want := range map[string]string{"a b\n": "a b\n", "caf\xe9.txt": "caf\uFFFD.txt"} {
		var p packet.Packet
		if named(&p, name); p.Attributes()["file"] != want || p.Extra.Check() != nil {
			t.Errorf("%q: the attributes are %q, %v", name, p.Attributes(), p.Extra.Check())
		}
	}
	full := packet.Packet{Extra: &packet.Extra{Attributes: packet.Attributes{"x": strings.Repeat("x", packet.MaxAttributeBytes-1)}}}
	if named(&full, "name"); len(full.Attributes()) != 1 {
		t.Error("a packet that has no room is given a name")
	}
}

func TestLateIsBounded(t *testing.T) {
	var l late
	for range 2 * maxLate {
		l.add("/nowhere", stat{})
	}
	if len(l) != maxLate {
		t.Errorf("%d files are remembered", len(l))
	}
	if l.check(func(string, stat, stat) { t.Error("a file that is gone has not changed") }); len(l) != 0 {
		t.Errorf("%d files that are gone are remembered", len(l))
	}
}

// TestUnseen: a file of which nothing is told is found all the same, at once after events
// were lost.
func TestUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, _ := folder(t, Config{State: state}, n)
		notices, stop := follow(t, f)
		put(t, f.path("unseen"), "unseen")
		after(8 * time.Second)
		if got := n.data(); len(got) != 0 {
			t.Fatalf("took %q of which nothing was told", got)
		}
		after(4 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"unseen"}) {
			t.Errorf("took %q after ten seconds", got)
		}
		put(t, f.path("lost"), "lost")
		notices <- notice{what: missed}
		after(2 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"unseen", "lost"}) {
			t.Errorf("took %q after the overflow", got)
		}
		end(t, stop)
	})
}

func TestHardLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
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
		after(5 * time.Second)
		if got := n.data(); !slices.Equal(got, []string{"linked"}) {
			t.Errorf("took %q; expected the link, and not what may still be written", got)
		}
		end(t, stop)
	})
}

func TestLockedFileWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, _ := folder(t, Config{State: state}, n)
		put(t, f.path("x"), "x")
		other, err := f.lock("x")
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
	s := newCandidates(time.Hour)
	for i := range maxCandidates {
		if !s.add(stat{name: fmt.Sprint(i)}) {
			t.Fatalf("no room for file %d of %d", i, maxCandidates)
		}
	}
	if s.add(stat{name: "one more"}) || !s.more {
		t.Error("the list grows without bound")
	}
	if !s.add(stat{name: "7"}) || len(s.queue) != maxCandidates {
		t.Error("a file that is in the list was not known there")
	}

	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, _ := folder(t, Config{State: state}, n)
		put(t, f.path("left out"), "left out")
		s := newCandidates(time.Second)
		s.add(stat{name: "gone"})
		s.more = true
		after(time.Second)
		<-s.timer.C
		if err := f.takeDue(t.Context(), s); err != nil || s.byName["left out"] == nil || s.more {
			t.Errorf("once the list is through (%v), what was left out is not in it", err)
		}
	})
}

// gate is a network that is full until it is opened.
type gate struct {
	network
	open chan struct{}
}

func (g *gate) Inject(ctx context.Context, p packet.Packet) error {
	select {
	case <-g.open:
		return g.network.Inject(ctx, p)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) InjectData(ctx context.Context, p packet.Packet, r io.Reader, _ int64, _ ...store.Record) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	p.Data = string(data)
	return g.Inject(ctx, p)
}

func (g *gate) Batch() Batch { return alone(g.Inject) }

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
			n := &network{dies: run == 0}
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

// TestOwnFolders: where .done is not the node's own folder nothing is taken, and nothing
// goes where a link leads; once that is mended all is taken.
func TestOwnFolders(t *testing.T) {
	elsewhere := t.TempDir()
	for _, c := range []struct {
		name, why string
		root      bool
		put       func(path string) error
	}{
		{"a link to a folder", "is not a folder but a link or a file", false, func(path string) error { return os.Symlink(elsewhere, path) }},
		{"a link to nothing", "is not a folder but a link or a file", false, func(path string) error { return os.Symlink("nothing", path) }},
		{"a file", "is not a folder but a link or a file", false, func(path string) error { return os.WriteFile(path, nil, 0o644) }},
		{"another user's", "belongs to user 4242", true, func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.Chown(path, 4242, 4242))
		}},
	} {
		if c.root && os.Getuid() != 0 {
			continue // only root gives files away
		}
		for _, sub := range []string{doneDir, badDir} {
			t.Run(c.name+" as "+sub, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := &network{}
					if sub == badDir {
						n.most = 5
					}
					f, j := folder(t, Config{State: state}, n)
					if err := c.put(f.path(sub)); err != nil {
						t.Fatal(err)
					}
					put(t, f.path("x"), "too long")
					put(t, f.path("y"), "y too long")
					_, stop := follow(t, f)
					after(time.Minute)
					if got := n.data(); len(got) != 0 || !there(f.path("x")) || !there(f.path("y")) {
						t.Errorf("took %q", got)
					}
					if got := j.Count("moved away", c.why, f.path(sub)); got != 1 {
						t.Errorf("%d lines; expected one\n%s", got, j)
					}
					if err := os.Rename(f.path(sub), f.path(".was")); err != nil {
						t.Fatal(err)
					}
					after(12 * time.Second)
					if there(f.path("x")) || there(f.path("y")) || len(n.data()) == 0 == (sub == doneDir) {
						t.Errorf("took %q once it was mended", n.data())
					}
					end(t, stop)
				})
			})
		}
	}
	if got := names(t, elsewhere); got != nil {
		t.Errorf("%q was moved to where a link led", got)
	}
}

func TestUnreadableFile(t *testing.T) {
	if os.Getuid() == 0 {
		// Root reads everything; a socket is what nobody can open.
		at := socket(t)
		f := Folder{}
		f.cfg.Dir = filepath.Dir(at)
		if _, err := f.lock(filepath.Base(at)); err == nil || errors.Is(err, errAway) {
			t.Errorf("opened a socket: %v", err)
		}
		return
	}
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
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
		n := &network{}
		f, _ := folder(t, Config{Dir: dir, State: state}, n)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- f.follow(ctx, poller{dir: dir}) }()
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
