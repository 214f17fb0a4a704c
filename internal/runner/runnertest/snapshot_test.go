package runnertest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/runner/python"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// snapped opens the seed file of that name as a node does that keeps snapshots.
func snapped(t *testing.T, path string, mode seed.Mode) (runner.Runner, error) {
	return snappedIn(t, filepath.Join(t.TempDir(), "seeds"), path, mode)
}

// snappedIn does so in a folder of snapshots.
func snappedIn(t *testing.T, dir, path string, mode seed.Mode) (runner.Runner, error) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	m := seed.Manifest{Name: "seed", File: path, Version: hex.EncodeToString(sum[:6]), Mode: mode,
		Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
	open := process.Open
	if filepath.Ext(path) == ".py" {
		open = python.Open
	}
	return open(m, runner.Env{Snapshots: dir})
}

// kinds are seeds of every kind that has a file, which run what PART is replaced by.
func kinds(shell, py string) map[string]struct {
	source string
	mode   seed.Mode
} {
	type kind = struct {
		source string
		mode   seed.Mode
	}
	return map[string]kind{
		"each.sh":  {"#!/bin/sh\n" + shell + "\n", seed.PerPacket},
		"lines.sh": {"#!/bin/sh\nwhile read -r line; do\n" + shell + "\ndone\n", seed.Lines},
		"worker":   {strings.Replace(ownWorker, "SEED", `[("", str(`+py+`).encode())]`, 1), seed.Worker},
		"seed.py":  {"import os\ndef run(data):\n    return " + py + "\n", seed.PerPacket},
	}
}

// Every kind runs in the folder of its file, and is told it.
func TestTheWorkingFolderIsTheSeedsOwn(t *testing.T) {
	testenv.Need(t, "python3")
	for name, k := range kinds(`echo "$(/bin/pwd -P) $PMK_SEED_DIR $PWD"`, `" ".join((os.getcwd(), os.environ["PMK_SEED_DIR"], os.environ["PWD"]))`) {
		path := write(t, name, k.source)
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		r, err := snapped(t, path, k.mode)
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, r: r}
		sink, err := b.run(b.worker(), "x")
		if want := strings.Join([]string{dir, filepath.Dir(path), filepath.Dir(path)}, " "); err != nil || len(sink.Outs) != 1 || strings.TrimSpace(sink.Outs[0].Data) != want {
			t.Errorf("%s gave %v, %v, %v, want %s", name, sink.Outs, sink.Dones, err, want)
		}
	}
}

// A file that is edited in place, as editors and redirections do, changes neither a run
// that goes on nor a worker that starts later.
func TestAnEditDoesNotReachWhatIsLoaded(t *testing.T) {
	testenv.Need(t, "python3")
	for name, k := range kinds("echo old", `"old"`) {
		path := write(t, name, k.source)
		r, err := snapped(t, path, k.mode)
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, r: r}
		first := b.worker()
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(k.source, "old", "new")), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, w := range []runner.Worker{first, b.worker()} {
			sink, err := b.run(w, "x")
			if err != nil || len(sink.Outs) != 1 || strings.TrimSpace(sink.Outs[0].Data) != "old" {
				t.Errorf("%s gave %v, %v, %v", name, sink.Outs, sink.Dones, err)
			}
		}
	}
}

// A script that waits while it is edited goes on with its own text.
func TestAnEditDoesNotReachARunThatGoesOn(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	source := "#!/bin/sh\ntouch " + gate + "1\nuntil [ -e " + gate + "2 ]; do sleep 0.05; done\necho old\n"
	path := write(t, "seed.sh", source)
	r, err := snapped(t, path, seed.PerPacket)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, r: r}
	w := b.worker()
	done := make(chan *Sink, 1)
	go func() {
		sink, _ := b.run(w, "x") // what is wrong shows in the sink
		done <- sink
	}()
	testenv.Eventually(t, long, "the run goes on", func() bool {
		_, err := os.Stat(gate + "1")
		return err == nil
	})
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(source, "old", "new")), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gate+"2", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if sink := <-done; len(sink.Outs) != 1 || sink.Outs[0].Data != "old\n" {
		t.Errorf("gave %v, %v", sink.Outs, sink.Dones)
	}
}

// A file that is another by the time it is loaded is not loaded under the old version.
func TestAFileThatChangedSinceItWasRead(t *testing.T) {
	path := write(t, "seed.sh", "#!/bin/sh\necho new\n")
	m := seed.Manifest{Name: "seed", File: path, Version: "0123456789ab", Contract: seed.Contract{In: []packet.State{"In:A"}}}
	if _, err := process.Open(m, runner.Env{Snapshots: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "was changed while it was loaded") {
		t.Errorf("opened with %v", err)
	}
}

// The snapshot of the version that runs is kept, however often the file is saved: also if
// that version was there before, and if what was saved since was never loaded. Old ones
// are removed.
func TestTheSnapshotThatRunsIsKept(t *testing.T) {
	testenv.Need(t, "python3")
	dir := filepath.Join(t.TempDir(), "seeds")
	path := write(t, "seed.py", "")
	save := func(text string) (runner.Runner, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := snappedIn(t, dir, path, seed.PerPacket)
		if err != nil {
			t.Fatal(err)
		}
		w, err := r.Open(t.Context())
		if err == nil {
			w.Close()
		}
		return r, err
	}
	good := func(i int) string { return fmt.Sprintf("def run(data):\n    return 'version %d'\n", i) }
	for i := range 9 {
		if _, err := save(good(i)); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := os.ReadDir(dir); len(all) != 8 || err != nil {
		t.Errorf("%d snapshots are kept, %v; expected 8", len(all), err)
	}
	r, err := save(good(1)) // the oldest that is there
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, r: r}
	for i := range 8 {
		if _, err := save(fmt.Sprintf("def run(data: # broken %d\n", i)); err == nil {
			t.Fatal("what does not compile was loaded")
		}
	}
	if sink, err := b.run(b.worker(), "x"); err != nil || len(sink.Outs) != 1 || sink.Outs[0].Data != "version 1" {
		t.Errorf("after the file was saved 8 times more, a new worker gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	if _, err := save(good(20)); err != nil {
		t.Fatal(err)
	}
	if all, err := os.ReadDir(dir); len(all) != 8 || err != nil {
		t.Errorf("%d snapshots are kept, %v; expected 8", len(all), err)
	}
}
