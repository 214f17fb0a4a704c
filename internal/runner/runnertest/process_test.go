package runnertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/seed"
)

// A program that somebody still holds open for writing is tried again.
func TestAProgramThatIsBeingWritten(t *testing.T) {
	for _, mode := range []seed.Mode{seed.PerPacket, seed.Lines} {
		var path string
		b := shell(t, "read -r line; echo $line", 0, func(m *seed.Manifest) { m.Mode, path = mode, m.File })
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(100*time.Millisecond, func() { file.Close() }) // only opened
		sink, err := b.run(b.worker(), "x")
		b.want(sink, err, 1, strings.Repeat("x", 1)+map[seed.Mode]string{seed.PerPacket: "\n"}[mode])
	}
}

// What a run leaves behind ends with the run, not only with the worker.
func TestARunsOrphansEndWithIt(t *testing.T) {
	b := shell(t, orphanShell, 0, nil)
	w := b.worker()
	for range 3 {
		sink, err := b.run(w, "x")
		if err != nil || len(sink.Outs) != 1 {
			t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
		}
		if mark := sink.Outs[0].Data; alive(mark) {
			t.Errorf("the process %s outlived its packet", mark)
		}
	}
}

// A program that is kept alive may leave processes behind that end later: they
// are reaped while it goes on.
func TestOrphansAreReaped(t *testing.T) {
	var path string
	mark := fmt.Sprintf("0.2%09d", os.Getpid())
	b := lines(t, "while read -r line; do (setsid sleep "+mark+" >&2 &); echo $line; done", 0, func(m *seed.Manifest) { path = m.File })
	sink, err := b.run(b.worker(), "a", "b", "c")
	b.want(sink, err, 3, "a", "b", "c")
	testenv.Eventually(t, 20*time.Second, "the orphans end", func() bool { return !alive(mark) })
	testenv.Eventually(t, 20*time.Second, "they are reaped", func() bool { return zombies(path) == 0 })
}

// zombies counts the children of a seed's supervisor that have ended and wait
// for somebody to ask.
func zombies(path string) (n int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just gone
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		var state, parent string
		fmt.Sscan(rest, &state, &parent) // what does not scan is no zombie
		if line, err := os.ReadFile("/proc/" + parent + "/cmdline"); err == nil && state == "Z" && string(line) == "pmk-supervisor\x00"+path+"\x00" {
			n++
		}
	}
	return n
}
