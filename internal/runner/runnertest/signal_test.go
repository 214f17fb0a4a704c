package runnertest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/seed"
)

// A run that does not end when it is asked to is killed after pmk-grace.
func TestARunThatIgnoresItsEndIsKilled(t *testing.T) {
	for _, mode := range []seed.Mode{seed.PerPacket, seed.Lines} {
		b := shell(t, "trap '' TERM; while :; do sleep 1; done", 0, func(m *seed.Manifest) {
			m.Mode, m.Timeout, m.Grace = mode, 100*time.Millisecond, 100*time.Millisecond
		})
		wantFault(t, b, b.worker(), "timed out after 100ms", "x")
	}
}

// A program that dies of a signal leaves no core file, unless it asks for one.
func TestNoCoreFiles(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if before.Max == 0 {
		t.Skip("core files are not allowed here")
	}
	allowed := before
	allowed.Cur = before.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &allowed); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_CORE, &before) // for the other tests
	b := shell(t, "ulimit -Sc; ulimit -Hc", 0, nil)
	sink, err := b.run(b.worker(), "x")
	if err != nil || len(sink.Outs) != 1 || !strings.HasPrefix(sink.Outs[0].Data, "0\n") || strings.HasSuffix(sink.Outs[0].Data, "\n0\n") {
		t.Errorf("the limits are %q, %v", sink.Outs, err)
	}
}

// A run that a signal from outside has ended says so, whatever mode it has; one that
// ends by itself does not.
func TestARunThatIsCutOff(t *testing.T) {
	for source, want := range map[string]bool{
		"kill -TERM $$; sleep 1000": true,
		"exit 143":                  true,
		"kill -KILL $$; sleep 1000": true,
		"exit 3":                    false,
		"kill -SEGV $$; sleep 1000": false,
	} {
		for _, mode := range []seed.Mode{seed.PerPacket, seed.Lines} {
			b := shell(t, source, 0, func(m *seed.Manifest) { m.Mode = mode })
			sink, err := b.run(b.worker(), "x")
			err = errors.Join(append(sink.Dones, err)...)
			var f *runner.Fault
			if !errors.As(err, &f) || f.Cut != want {
				t.Errorf("%q in mode %q failed with %+v, want cut %v", source, mode, f, want)
			}
		}
	}
}

// A service that is stopped sends SIGTERM to all of its processes: a run that then
// ends in its own way was cut off.
func TestARunThatEndsWithTheService(t *testing.T) {
	for _, mode := range []seed.Mode{seed.PerPacket, seed.Lines} {
		// On a busy machine the supervisor may note its signal late.
		for _, wait := range []string{"1", "5", "20"} {
			f := endWithService(t, mode, wait)
			if f.Reason != "exit status 1" {
				t.Fatalf("mode %q failed with %+v", mode, f)
			}
			if f.Cut {
				break
			}
			if wait == "20" {
				t.Errorf("mode %q failed with %+v, want one that was cut off", mode, f)
			}
		}
	}
}

// endWithService is how a run fails that takes so many seconds to end on SIGTERM.
func endWithService(t *testing.T, mode seed.Mode, wait string) *runner.Fault {
	t.Helper()
	var path string
	b := shell(t, "trap 'sleep "+wait+"; exit 1' TERM; echo begun >&2; while :; do sleep 1; done", 0, func(m *seed.Manifest) { m.Mode, path = mode, m.File })
	failed := make(chan error, 1)
	w := b.worker()
	go func() {
		sink, err := b.run(w, "x")
		failed <- errors.Join(append(sink.Dones, err)...)
	}()
	testenv.Eventually(t, long, "the run has begun", func() bool { return b.printed("begun") })
	for _, pid := range processes(path) { // the supervisor as well
		syscall.Kill(pid, syscall.SIGTERM)
	}
	f := &runner.Fault{}
	errors.As(<-failed, &f)
	return f
}

// A worker that ended while it had nothing to do says so when it is used again, and
// no packet is to blame.
func TestAWorkerThatEndedUnused(t *testing.T) {
	var path string
	b := shell(t, "while read -r line; do echo $line; done", 0, func(m *seed.Manifest) { m.Mode, path = seed.Lines, m.File })
	testenv.Eventually(t, long, "a worker is found to have ended", func() bool {
		w := b.worker()
		sink, err := b.run(w, "x")
		b.want(sink, err, 1, "x")
		for _, pid := range processes(path) {
			syscall.Kill(pid, syscall.SIGTERM) // its supervisor stays for that
		}
		testenv.Eventually(t, long, "its processes have ended", func() bool { return len(processes(path)) == 0 })
		sink, err = b.run(w, "y") // the node may learn of the end only now
		if len(sink.Dones) > 0 || err == nil {
			t.Fatalf("gave %v, %v", sink.Outs, sink.Dones)
		}
		return errors.Is(err, runner.ErrUnused)
	})
}

// processes are those of which a word of the command line is this.
func processes(word string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just gone
		}
		for _, w := range strings.Split(string(text), "\x00") {
			if w == word {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))) // the pattern is of digits
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}
