package runnertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// lines makes the bench of a shell seed that takes a line for each packet.
func lines(t *testing.T, source string, max int64, change func(*seed.Manifest)) *bench {
	return shell(t, source, max, func(m *seed.Manifest) {
		m.Mode = seed.Lines
		if change != nil {
			change(m)
		}
	})
}

// A program that answers a line with two is stopped; no answer goes to a packet
// that it is not for.
func TestLinesThatAreTooMany(t *testing.T) {
	b := lines(t, "exec sed -u p", 0, nil)
	w := b.worker()
	sink, err := b.run(w, "a")
	b.want(sink, err, 1, "a")
	tick := time.NewTicker(200 * time.Millisecond) // it prints its second line meanwhile
	defer tick.Stop()
	<-tick.C
	if sink, err := b.run(w, "b"); err == nil || !strings.Contains(err.Error(), "more than one line") || len(sink.Outs) != 0 {
		t.Errorf("gave %v, %v", sink.Outs, err)
	}
}

// A program that answers without reading is stopped, however much it is given.
func TestLinesThatAreNotRead(t *testing.T) {
	b := lines(t, "head -c 1 >/dev/null; echo early; sleep 1000", 0, nil)
	if _, err := b.run(b.worker(), strings.Repeat("x", 1<<20)); err == nil || !strings.Contains(err.Error(), "had not read") {
		t.Errorf("ended with %v", err)
	}
}

// Both pipes are full at once, and neither end waits for the other.
func TestLinesFillBothPipes(t *testing.T) {
	testenv.Need(t, "stdbuf")
	b := lines(t, "exec stdbuf -oL sed ''", 0, nil)
	var data []string
	for range 256 {
		data = append(data, strings.Repeat("x", 10_000))
	}
	w := b.worker()
	for range 3 {
		sink, err := b.run(w, data...)
		b.want(sink, err, len(data), data...)
	}
}

// A packet whose data is no line fails alone, and each answer goes to its own.
func TestDataThatIsNoLine(t *testing.T) {
	b := lines(t, "exec sed -u s/drop//", 0, nil)
	sink, err := b.run(b.worker(), "a", "two\nlines", "drop", "\xff", "b", "nul\x00")
	if err != nil || len(sink.Outs) != 2 || sink.Outs[0].Data != "a" || sink.Outs[1].Data != "b" || len(sink.Dones) != 6 {
		t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	for i, want := range []string{"", "newline", "", "not text", "", "not text"} {
		if got := sink.Dones[i]; (want == "") != (got == nil) || got != nil && !strings.Contains(got.Error(), want) {
			t.Errorf("packet %d ended with %v, want %q", i, got, want)
		}
	}
}

// A program that ends says how, and what it last printed; the packets before
// are done.
func TestALinesProgramThatEnds(t *testing.T) {
	b := lines(t, `read -r line; echo "$line"; read -r line; echo "no such galaxy" >&2; exit 4`, 0, nil)
	sink, err := b.run(b.worker(), "a", "b", "c")
	var f *runner.Fault
	if !errors.As(err, &f) || f.Reason != "exit status 4" || !strings.Contains(f.Output, "no such galaxy") || len(sink.Dones) != 1 {
		t.Errorf("gave %v, %v, %#v", sink.Outs, sink.Dones, err)
	}
}

// A line is as long as a packet's data may be, and no longer.
func TestALineBeyondTheLimit(t *testing.T) {
	for _, most := range []int{10, 100_000} {
		b := lines(t, "exec sed -u s/more/more!/", int64(most), nil)
		w := b.worker()
		sink, err := b.run(w, strings.Repeat("x", most))
		b.want(sink, err, 1, strings.Repeat("x", most))
		if _, err := b.run(w, strings.Repeat("x", most-4)+"more"); err == nil || !strings.Contains(err.Error(), "a line of more than") {
			t.Errorf("ended with %v", err)
		}
	}
}

// What an extractor answers is for people; its data may come as a path.
func TestAnExtractorInLines(t *testing.T) {
	b := lines(t, `while read -r path; do cat "$path"; echo; done`, 0, func(m *seed.Manifest) {
		m.Contract.Out, m.DataPath = []packet.State{}, true
	})
	w := b.worker()
	sink, err := b.run(w, "one", "two")
	b.want(sink, err, 2)
	w.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if strings.Join(b.lines, " ") != "one two" {
		t.Errorf("printed %q", b.lines)
	}
}

// A program that cannot be started is the error of Open.
func TestALinesProgramThatDoesNotStart(t *testing.T) {
	file := write(t, "seed", "\x7fELF\x01\x00 and no more")
	m := seed.Manifest{Name: "seed", File: file, Mode: seed.Lines, Contract: seed.Contract{In: []packet.State{"In:A"}}}
	r, err := process.Open(m, runner.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "exec format error") {
		t.Errorf("opened with %v", err)
	}
}

// lineSource runs a shell seed that is an injector in lines mode.
func lineSource(ctx context.Context, t *testing.T, program string, change func(*seed.Manifest), sink *Sink) error {
	t.Helper()
	b := lines(t, program, 0, func(m *seed.Manifest) {
		m.Contract.In = nil
		if change != nil {
			change(m)
		}
	})
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	return b.worker().Run(ctx, []packet.Packet{{}}, sink)
}

// A source that fails says how and what it printed; a line that it was cut off in
// is no packet, those before are.
func TestALineSourceThatFails(t *testing.T) {
	for end, want := range map[string]string{"exit 3": "exit status 3", "kill -9 $$": "killed by SIGKILL"} {
		sink := &Sink{}
		err := lineSource(t.Context(), t, `echo a; echo "no broker" >&2; printf half; `+end, nil, sink)
		if err == nil {
			err = errors.Join(sink.Dones...)
		}
		var f *runner.Fault
		if !errors.As(err, &f) || f.Reason != want || !strings.Contains(f.Output, "no broker") || len(sink.Outs) != 1 || sink.Outs[0].Data != "a" {
			t.Errorf("%s: gave %v, %#v", end, sink.Outs, err)
		}
	}
}

// A source is asked to end, and what it prints then is taken as well.
func TestALineSourceIsAskedToEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sink := &Sink{OnEmit: func(int) { cancel() }}
	err := lineSource(ctx, t, `trap 'echo last; exit' TERM; echo first; while :; do sleep 0.1; done`, nil, sink)
	if !errors.Is(err, context.Canceled) || len(sink.Outs) != 2 || sink.Outs[1].Data != "last" {
		t.Errorf("gave %v, %v", sink.Outs, err)
	}
}

// A source waits in its write while there is no room for its lines, which is no
// part of its time.
func TestALineSourceWaitsForRoom(t *testing.T) {
	at := filepath.Join(t.TempDir(), "at")
	printed := func() int {
		text, _ := os.ReadFile(at)
		return strings.Count(string(text), "x")
	}
	const lines, ahead = 400, 60 // of 8 KiB: the pipe and the buffer hold 16
	sink := &Sink{OnEmit: func(n int) {
		if n != 1 {
			return
		}
		testenv.Eventually(t, 20*time.Second, "the pipe fills", func() bool { return printed() > 4 })
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range 100 {
			if <-tick.C; printed() > ahead {
				t.Errorf("the program has printed %d lines and one was taken", printed())
				return
			}
		}
	}}
	program := `line=$(head -c 8000 /dev/zero | tr '\0' y); i=0; while [ $i -lt 400 ]; do printf x >>` + at + `; echo $line; i=$((i+1)); done`
	if err := lineSource(t.Context(), t, program, func(m *seed.Manifest) { m.Timeout = long }, sink); err != nil || sink.Count != lines || sink.Dones[0] != nil {
		t.Errorf("gave %d lines, %v, %v", sink.Count, sink.Dones, err)
	}
}

// A source has a time-out as any seed has.
func TestALineSourceThatHangs(t *testing.T) {
	for _, program := range []string{`echo a; exec sleep 1000`, `echo a; exec >&-; sleep 1000`} {
		sink := &Sink{}
		err := lineSource(t.Context(), t, program, func(m *seed.Manifest) { m.Timeout = 3 * time.Second }, sink)
		if err == nil {
			err = errors.Join(sink.Dones...)
		}
		var f *runner.Fault
		if !errors.As(err, &f) || !f.Hung || sink.Count != 1 {
			t.Errorf("%s: gave %v, %v", program, sink.Outs, err)
		}
	}
}

// A source whose line is refused is ended.
func TestALineSourceThatIsRefused(t *testing.T) {
	no := errors.New("no")
	sink := &Sink{Refuse: no}
	if err := lineSource(t.Context(), t, `exec yes`, nil, sink); err != nil || sink.Count != 1 || len(sink.Dones) != 1 || !errors.Is(sink.Dones[0], no) {
		t.Errorf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
}
