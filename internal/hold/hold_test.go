//go:build unix

package hold

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// left puts into a folder what a process has left there.
func left(t *testing.T, h Holder) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLeftBehind opens folders that processes have not given back which do not live any more.
func TestLeftBehind(t *testing.T) {
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	self := me()
	for name, c := range map[string]struct {
		change func(*Holder)
		takes  time.Duration
		who    string
	}{
		"killed here":               {change: func(h *Holder) { h.PID = ended.Process.Pid }},
		"its number is this one's":  {change: func(*Holder) {}},
		"its number is another's":   {change: func(h *Holder) { h.PID = os.Getppid() }, takes: nearSilence, who: " of the machine " + self.Host},
		"in another container":      {change: func(h *Holder) { h.Space = "pid:[1]" }, takes: nearSilence},
		"before a power cut":        {change: func(h *Holder) { h.Boot, h.Machine = "earlier", "this"; h.Machine = self.Machine }, takes: nearSilence},
		"on another machine":        {change: func(h *Holder) { h.Boot, h.Machine, h.Host = "another", "another", "far" }, takes: farSilence, who: " of the machine far"},
		"without a word (its disk)": {change: nil, takes: farSilence, who: "another process"},
	} {
		t.Run(name, func(t *testing.T) {
			h := self
			h.Claim = "theirs"
			var dir string
			if c.change != nil {
				c.change(&h)
				dir = left(t, h)
			} else {
				dir = t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, fileName), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if h.Machine == "" && name == "before a power cut" {
				t.Skip("this machine has no id")
			}
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var said []string
				f, err := Take(t.Context(), dir, func(why string) { said = append(said, why) })
				if err != nil {
					t.Fatal(err)
				}
				if got := time.Since(began); got != c.takes || (got > 0) != (len(said) == 1) {
					t.Errorf("it took %v and said %q; expected %v", got, said, c.takes)
				}
				if len(said) > 0 && (!strings.Contains(said[0], c.who) || !strings.Contains(said[0], dir)) {
					t.Errorf("it said %q; expected %q and the folder", said, c.who)
				}
				if err := f.Release(); err != nil {
					t.Fatal(err)
				}
			})
			if rest, err := filepath.Glob(filepath.Join(dir, fileName+"*")); err != nil || len(rest) > 0 {
				t.Errorf("left behind: %q, %v", rest, err)
			}
		})
	}
}

// TestHeldElsewhere is refused a folder that a process of another machine touches, whose lock
// this one does not see.
func TestHeldElsewhere(t *testing.T) {
	dir := left(t, Holder{PID: 12, Host: "far", Machine: "another", Boot: "another", Claim: "theirs"})
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		defer close(over)
		go func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(4 * time.Second): // its network falters
				}
				now := time.Now()
				if err := os.Chtimes(filepath.Join(dir, fileName), now, now); err != nil {
					t.Error(err)
				}
			}
		}()
		_, err := Take(t.Context(), dir, nil)
		var used *UsedError
		if !errors.As(err, &used) || !strings.Contains(err.Error(), "in use by process 12 of the machine far") {
			t.Errorf("%v", err)
		}
	})
}

// TestOneOfMany has several take a folder where the locks of each are its own.
func TestOneOfMany(t *testing.T) {
	for _, dead := range []bool{false, true} {
		dir := t.TempDir()
		if dead {
			dir = left(t, Holder{Host: "far", Boot: "another", Claim: "theirs"})
		}
		synctest.Test(t, func(t *testing.T) {
			var got atomic.Int32
			var all, done sync.WaitGroup
			done.Add(1)
			for i := range 8 {
				all.Go(func() {
					self := Holder{Boot: strconv.Itoa(i), Claim: strconv.Itoa(i)}
					c, err := take(t.Context(), dir, self, nil)
					if err != nil {
						if used := (*UsedError)(nil); !errors.As(err, &used) {
							t.Error(err)
						}
						return
					}
					got.Add(1)
					done.Wait()
					if err := c.Release(); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(time.Minute)
			if got.Load() != 1 {
				t.Errorf("%d of 8 have the folder", got.Load())
			}
			done.Done()
			all.Wait()
		})
	}
}

// TestLost notices that another has taken the folder over, and leaves it to that.
func TestLost(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, err := Take(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		select {
		case <-f.Lost():
			t.Fatal("lost, and nobody has it")
		default:
		}
		theirs := filepath.Join(dir, fileName)
		if err := os.Remove(theirs); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(theirs, []byte(`{"claim":"theirs"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		select {
		case <-f.Lost():
		case <-time.After(3 * beatEvery):
			t.Error("it was not noticed")
		}
		if err := f.Release(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(theirs); err != nil {
			t.Errorf("what the other has there: %v", err)
		}
	})
}
