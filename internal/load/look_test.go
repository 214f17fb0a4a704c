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
			w := newWatch([]string{dir, single}, func(path string) {
				mu.Lock()
				defer mu.Unlock()
				changes = append(changes, path)
			}, j.Log())
			within := lookOften
			if watched {
				within = lookEvery
				w.watched[dir], w.watched[filepath.Dir(single)] = true, true
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
			if c := j.Count("are looked through every 1s", "no instance is left"); (c == 1) == watched {
				t.Errorf("the log is\n%s", j)
			}
		})
	}
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
		Watch(ctx, []string{dir}, func(path string) { changes <- path }, j.Log())
		ended <- struct{}{}
	}()
	go func() {
		for tick := time.Tick(Quiet / 10); ctx.Err() == nil; <-tick {
			os.WriteFile(filepath.Join(dir, "log"), []byte(strings.Repeat("x", int(time.Now().UnixNano()%1000))), 0o644)
		}
		ended <- struct{}{}
	}()
	write(t, filepath.Join(dir, "a.py"), good)
	testenv.Eventually(t, 20*time.Second, "the other file is seen", func() bool { return filepath.Base(<-changes) == "a.py" })
	cancel()
	<-ended
	<-ended
	if text := j.String(); text != "" {
		t.Error(text)
	}
}
