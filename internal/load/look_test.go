package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/testenv"
)

// TestLook: without an event a change is seen within ten seconds, and within one where
// nothing can be watched.
func TestLook(t *testing.T) {
	for _, watched := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			a, b, single := filepath.Join(dir, "a.py"), filepath.Join(dir, "b.py"), filepath.Join(t.TempDir(), "c.py")
			write(t, a, good)
			write(t, single, good)
			var mu sync.Mutex
			var changes []string
			j := &testenv.Journal{}
			w := newWatch([]string{dir, single}, NewUses(), func(path string) {
				mu.Lock()
				defer mu.Unlock()
				changes = append(changes, path)
			}, j.Log())
			within := lookOften
			if watched {
				within = lookEvery
				for _, dir := range []string{dir, filepath.Dir(single)} {
					at, err := placeOf(dir)
					if err != nil {
						t.Fatal(err)
					}
					w.watched[dir] = at
				}
			} else {
				w.blind(errors.New("no instance is left"))
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				w.run(ctx)
			}()
			expect := func(what string, want ...string) {
				t.Helper()
				time.Sleep(within + Quiet)
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				slices.Sort(changes)
				if slices.Sort(want); !slices.Equal(changes, want) {
					t.Errorf("%s: %q changed; expected %q", what, changes, want)
				}
				changes = nil
			}
			expect("at the start", a, single)
			expect("nothing happened")
			write(t, a, good+"# edited")
			write(t, b, good)
			write(t, filepath.Join(dir, "notes.md"), good)
			expect("an edit and a new file", a, b)
			later := time.Now().Add(time.Hour)
			if err := os.Chtimes(single, later, later); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(b); err != nil {
				t.Fatal(err)
			}
			expect("another time, and one that is gone", b, single)
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			expect("the folder is gone", a)
			cancel()
			<-ended
			if c := j.Count("are looked through all the time", "every=1s", "no instance is left"); (c == 1) == watched {
				t.Errorf("the log is\n%s", j)
			}
		})
	}
}

// TestEventsEnd: a system that stops telling of changes has every folder looked through as
// often as the log says.
func TestEventsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := filepath.Join(dir, "a.py")
		changes := make(chan string, 1000)
		j := &testenv.Journal{}
		w := newWatch([]string{dir}, NewUses(), func(path string) { changes <- path }, j.Log())
		w.errors = make(chan error)
		at, err := placeOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		w.watched[dir] = at
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.run(ctx)
		}()
		w.errors <- errors.New("read: input/output error")
		time.Sleep(Quiet)
		write(t, a, good)
		time.Sleep(lookOften + Quiet)
		synctest.Wait()
		if len(changes) != 1 {
			t.Errorf("%d changes within %v; expected that of %s", len(changes), lookOften, a)
		}
		if j.Count("are looked through all the time", "every=1s", "input/output error") != 1 {
			t.Errorf("the log is\n%s", j)
		}
		cancel()
		<-ended
	})
}

// TestLinks edits what links lead to: a file, a file behind two links, and one in a folder
// behind a link; then a link leads elsewhere.
func TestLinks(t *testing.T) {
	dir, repo, other := t.TempDir(), t.TempDir(), t.TempDir()
	link := func(target, path string) {
		t.Helper()
		if err := os.Symlink(target, path+".tmp"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{repo, other} {
		for _, name := range []string{"a.py", "b.py"} {
			write(t, filepath.Join(at, name), good+"# "+at)
		}
	}
	a, b, named := filepath.Join(dir, "a.py"), filepath.Join(dir, "b.py"), filepath.Join(t.TempDir(), "seeds")
	link(filepath.Join(repo, "a.py"), a)
	link(filepath.Join(repo, "b.py"), filepath.Join(other, "middle"))
	link(filepath.Join(other, "middle"), b)
	link(repo, named)
	changes := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	j := &testenv.Journal{}
	go func() {
		defer close(ended)
		w := newWatch([]string{dir, named}, NewUses(), func(path string) { changes <- path }, j.Log())
		w.every = time.Hour // so that looking finds nothing
		w.watch(ctx)
	}()
	// expect has all of the paths change; edit is repeated, since the watch may begin later
	// than it.
	expect := func(what string, edit func(n int), paths ...string) {
		t.Helper()
		left := map[string]bool{}
		for _, path := range paths {
			left[path] = true
		}
		n, last := 0, time.Time{}
		testenv.Eventually(t, time.Minute, what, func() bool {
			if time.Since(last) > 5*Quiet { // in between it is quiet
				edit(n)
				n, last = n+1, time.Now()
			}
			for len(changes) > 0 {
				delete(left, <-changes)
			}
			return len(left) == 0
		})
	}
	to := func(path string) func(int) {
		return func(n int) { write(t, path, good+strings.Repeat("#", n)) }
	}
	expect("the start", func(int) {}, a, b, filepath.Join(named, "a.py"), filepath.Join(named, "b.py"))
	expect("an edit", to(filepath.Join(repo, "a.py")), a, filepath.Join(named, "a.py"))
	expect("an edit behind two links", to(filepath.Join(repo, "b.py")), b, filepath.Join(named, "b.py"))
	link(filepath.Join(other, "a.py"), a)
	expect("another target", func(int) {}, a)
	m, err := File(a)
	if err != nil {
		t.Fatal(err)
	}
	expect("an edit there", to(filepath.Join(other, "a.py")), a)
	if now, err := File(a); err != nil || now.Version == m.Version {
		t.Errorf("the version is still %s, %v", now.Version, err)
	}
	cancel()
	<-ended
}

// TestBusyFolder: a file that is written to all the time holds no other back.
func TestBusyFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "log"), "")
	changes := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{}, 2)
	j := &testenv.Journal{}
	go func() {
		Watch(ctx, []string{dir}, NewUses(), func(path string) { changes <- path }, j.Log())
		ended <- struct{}{}
	}()
	go func() {
		for tick := time.Tick(Quiet / 10); ctx.Err() == nil; <-tick {
			os.WriteFile(filepath.Join(dir, "log"), []byte(strings.Repeat("x", int(time.Now().UnixNano()%1000))), 0o644)
		}
		ended <- struct{}{}
	}()
	write(t, filepath.Join(dir, "a.py"), good)
	testenv.Eventually(t, time.Minute, "the other file is seen", func() bool {
		for {
			select {
			case path := <-changes:
				if filepath.Base(path) == "a.py" {
					return true
				}
			default:
				return false
			}
		}
	})
	cancel()
	<-ended
	<-ended
	if text := j.String(); text != "" {
		t.Error(text)
	}
}
