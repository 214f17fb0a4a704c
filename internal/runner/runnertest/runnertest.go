// Package runnertest holds every kind of seed to one contract: the same seeds,
// each in the language of the kind, give the same packets and the same
// failures, as far as the kind declares that it can.
package runnertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Case names one of the standard seeds.
type Case string

// The standard seeds. In every one the input is In:A, and outputs are Out:B,
// and, for the last two of these, Out:C as well.
const (
	Echo     Case = "echo"     // gives its data, to the byte
	Filter   Case = "filter"   // gives "keep" and nothing for anything else
	Several  Case = "several"  // gives its data with 1, 2 and 3 behind
	States   Case = "states"   // "b" to Out:B, "c" to Out:C
	Raise    Case = "raise"    // fails with the text "no such galaxy" in its error or output
	Exit     Case = "exit"     // ends its process with status 3
	Crash    Case = "crash"    // dies of SIGKILL on the data "die", else echo
	Hang     Case = "hang"     // never ends on the data "hang", else echo
	Print    Case = "print"    // prints "a line" for people, and gives its data
	Orphan   Case = "orphan"   // gives the id of a process that it leaves behind
	Flood    Case = "flood"    // gives Floods packets
	Source   Case = "source"   // an injector that gives "a", "b" and "c" and ends
	Endless  Case = "endless"  // an injector that gives packets for ever
	Inherit  Case = "inherit"  // gives its attribute "sample" as data, and sets "lane" to "1"
	Tidy     Case = "tidy"     // never ends on the data "hang", and prints "tidied" when it is sent SIGTERM
	Stubborn Case = "stubborn" // an injector that ignores SIGTERM and gives nothing
)

// Floods is how many packets the seed Flood gives.
const Floods = 10_000_000

// A Kind makes the standard seeds of one kind.
type Kind struct {
	// Open makes the runner of a case; m has everything but Kind and File.
	// It returns nil for a case that the kind cannot express.
	Open func(t *testing.T, c Case, m seed.Manifest, env runner.Env) runner.Runner
	// TextOnly: data is one line of text.
	TextOnly bool
	// Floods is how many packets Flood gives in this kind's source, where
	// Floods takes too long; 0 means Floods.
	Floods int
	// GivesBack: what of a batch has not begun is given back when a run takes long.
	GivesBack bool
	// SetsNone: outputs set no attributes.
	SetsNone bool
	// Alive tells whether a process is there; nil means that the kind starts
	// none.
	Alive func(pid string) bool
}

// An Out is one output.
type Out struct {
	State      packet.State
	Data       string
	Attributes packet.Attributes
}

// A Sink collects what a worker gives.
type Sink struct {
	mu     sync.Mutex
	Outs   []Out
	Dones  []error
	Backs  []int // from where packets were given back
	base   int   // verdicts before the batch that runs
	Count  int
	Keep   int         // outputs to keep; 0 means 1,000
	Refuse error       // returned by Emit
	OnEmit func(n int) // called with the number of outputs so far
}

// Emit takes an output.
func (s *Sink) Emit(_ int, out packet.Output) error {
	if out.Blob != nil { // no blobs were given to the runner
		return errors.New("large data that nobody keeps")
	}
	s.mu.Lock()
	s.Count++
	n := s.Count
	keep := s.Keep
	if keep == 0 {
		keep = 1000
	}
	if len(s.Outs) < keep {
		s.Outs = append(s.Outs, Out{out.State, out.Data, maps.Clone(out.Attributes)})
	}
	s.mu.Unlock()
	if s.OnEmit != nil {
		s.OnEmit(n)
	}
	return s.Refuse
}

// Flush has nothing to wait for.
func (s *Sink) Flush() error { return nil }

// Done takes a verdict.
func (s *Sink) Done(i int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i += s.base; i != len(s.Dones) {
		err = fmt.Errorf("done %d came when %d was due", i, len(s.Dones))
	}
	s.Dones = append(s.Dones, err)
}

// Back takes packets back.
func (s *Sink) Back(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Backs = append(s.Backs, i)
}

// long bounds everything that should take no time.
const long = 60 * time.Second

// A bench is one case of a kind at work.
type bench struct {
	t     *testing.T
	kind  Kind
	r     runner.Runner
	mu    sync.Mutex
	lines []string

	unwritten error // why nothing can be printed
}

func open(t *testing.T, k Kind, c Case, change func(*seed.Manifest)) *bench {
	t.Helper()
	m := seed.Manifest{Name: seed.Name(c), Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
	if change != nil {
		change(&m)
	}
	b := &bench{t: t, kind: k}
	b.r = k.Open(t, c, m, runner.Env{Node: "test", Print: func(line string) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, line)
		return b.unwritten
	}})
	if b.r == nil {
		return nil
	}
	return b
}

func (b *bench) worker() runner.Worker {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	w, err := b.r.Open(ctx)
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	b.t.Cleanup(func() { w.Close() })
	return w
}

// printed tells whether the seed has printed that line.
func (b *bench) printed(line string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.lines, line)
}

// run gives data to w, a packet each.
func (b *bench) run(w runner.Worker, data ...string) (*Sink, error) {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	sink := &Sink{}
	return sink, runAll(ctx, w, Packets(data...), sink)
}

// runAll gives w a batch, and again what it gives back, as a busy machine may have it do.
func runAll(ctx context.Context, w runner.Worker, batch []packet.Packet, sink *Sink) error {
	for {
		given := len(sink.Backs)
		if err := w.Run(ctx, batch, sink); err != nil || len(sink.Backs) == given {
			return err
		}
		batch, sink.base = batch[sink.Backs[given]:], len(sink.Dones)
	}
}

// Packets are packets of the state In:A with this data.
func Packets(data ...string) []packet.Packet {
	var batch []packet.Packet
	for i, d := range data {
		id := packet.HashID("test", fmt.Sprint(i))
		batch = append(batch, packet.Packet{ID: id, Ship: packet.Ship{Root: id, Node: "test"}, State: "In:A", Data: d})
	}
	return batch
}

// want checks the data of the outputs and that every run succeeded.
func (b *bench) want(sink *Sink, err error, dones int, want ...string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("the worker broke: %v", err)
	}
	if problem := sink.differs(dones, want); problem != "" {
		b.t.Error(problem)
	}
}

// differs says how what came is not these runs, all successful, with this data
// given; "" if it is.
func (s *Sink) differs(dones int, want []string) string {
	if len(s.Dones) != dones {
		return fmt.Sprintf("%d runs were done, want %d", len(s.Dones), dones)
	}
	if err := errors.Join(s.Dones...); err != nil {
		return fmt.Sprintf("a run failed: %v", err)
	}
	got := []string{}
	for _, o := range s.Outs {
		got = append(got, o.Data)
	}
	if !slices.Equal(got, want) && len(got)+len(want) > 0 {
		return fmt.Sprintf("got %s, want %s", brief(got), brief(want))
	}
	return ""
}

func brief(list []string) string {
	text := fmt.Sprintf("%d: %q", len(list), list)
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}

// Run holds the kind to the contract.
func Run(t *testing.T, k Kind) {
	cases := []struct {
		name string
		run  func(*testing.T, Kind)
	}{
		{"echo", echo}, {"filter", filter}, {"several", several}, {"states", states},
		{"raise", raise}, {"exit", exit}, {"crash", crash}, {"hang", hang}, {"gives back", givesBack}, {"tidy", tidy}, {"print", prints},
		{"orphan", orphan}, {"flood", flood}, {"source", source}, {"endless", endless}, {"stubborn", stubborn},
		{"refused", refused}, {"batches", batches}, {"attributes", attributes}, {"many attributes", manyAttributes},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, k) })
	}
}

// cannot ends a test of a case that the kind has declared it cannot express.
func cannot(t *testing.T) { t.Log("this kind declares that it cannot") }

func echo(t *testing.T, k Kind) {
	b := open(t, k, Echo, nil)
	w := b.worker()
	data := []string{"Mars", "a|,|b", "naïve Ünïcode", strings.Repeat("x", 8<<20)}
	if !k.TextOnly {
		data = append(data, "", "a\x00b\xff\xfe\n\r\n", strings.Repeat("\x00\xff", 100_000), "\n")
	}
	sink, err := b.run(w, data...)
	want := slices.DeleteFunc(slices.Clone(data), func(d string) bool { return d == "" && len(sink.Outs) < len(data) })
	b.want(sink, err, len(data), want...)
	if k.TextOnly {
		sink, err := b.run(w, "good", "two\nlines", "also good")
		if err != nil || len(sink.Outs) != 2 || len(sink.Dones) != 3 || sink.Dones[1] == nil || !strings.Contains(sink.Dones[1].Error(), "newline") {
			t.Errorf("data with a newline gave %v, %v, %v", sink.Outs, sink.Dones, err)
		}
	}
}

func filter(t *testing.T, k Kind) {
	b := open(t, k, Filter, nil)
	sink, err := b.run(b.worker(), "drop", "keep", "drop", "keep")
	b.want(sink, err, 4, "keep", "keep")
}

func several(t *testing.T, k Kind) {
	b := open(t, k, Several, nil)
	if b == nil {
		cannot(t)
		return
	}
	sink, err := b.run(b.worker(), "a", "b")
	b.want(sink, err, 2, "a1", "a2", "a3", "b1", "b2", "b3")
}

func states(t *testing.T, k Kind) {
	b := open(t, k, States, func(m *seed.Manifest) { m.Contract.Out = []packet.State{"Out:B", "Out:C"} })
	if b == nil {
		cannot(t)
		return
	}
	sink, err := b.run(b.worker(), "b", "c")
	b.want(sink, err, 2, "b", "c")
	for i, name := range []string{"B", "C"} {
		if s := sink.Outs[i].State; s != packet.State(name) && s != packet.State("Out:"+name) {
			t.Errorf("output %d has the state %q, want %s", i, s, name)
		}
	}
}

func raise(t *testing.T, k Kind) {
	b := open(t, k, Raise, nil)
	if b == nil {
		cannot(t)
		return
	}
	w := b.worker()
	for range 2 { // the worker goes on
		sink, err := b.run(w, "x")
		if err != nil || len(sink.Dones) != 1 || sink.Dones[0] == nil || len(sink.Outs) != 0 {
			t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
		}
		var f *runner.Fault
		text := sink.Dones[0].Error()
		if errors.As(sink.Dones[0], &f) {
			text += f.Output
		}
		if !strings.Contains(text, "no such galaxy") {
			t.Errorf("the failure does not say what was raised: %s", text)
		}
	}
}

func exit(t *testing.T, k Kind) {
	b := open(t, k, Exit, nil)
	if b == nil {
		cannot(t)
		return
	}
	wantFault(t, b, b.worker(), "exit status 3", "x")
}

// wantFault runs one packet and wants its failure, or the worker's, to be
// reason.
func wantFault(t *testing.T, b *bench, w runner.Worker, reason, data string) *runner.Fault {
	t.Helper()
	sink, err := b.run(w, data)
	if err == nil {
		err = errors.Join(sink.Dones...)
	}
	var f *runner.Fault
	if !errors.As(err, &f) || f.Reason != reason {
		t.Fatalf("failed with %v, want %q", err, reason)
	}
	return f
}

func crash(t *testing.T, k Kind) {
	b := open(t, k, Crash, nil)
	if b == nil {
		cannot(t)
		return
	}
	w := b.worker()
	sink, err := b.run(w, "a", "die", "b")
	if err == nil { // a process a packet: the others had theirs
		if len(sink.Outs) != 2 || len(sink.Dones) != 3 || sink.Dones[1] == nil {
			t.Errorf("gave %v, %v", sink.Outs, sink.Dones)
		}
		return
	}
	if len(sink.Dones) > 1 {
		t.Errorf("the packet that killed the worker was done: %v", sink.Dones)
	}
	w.Close()
	wantFault(t, b, b.worker(), "killed by SIGKILL", "die")
}

func hang(t *testing.T, k Kind) {
	b := open(t, k, Hang, func(m *seed.Manifest) { m.Timeout = 300 * time.Millisecond })
	if b == nil {
		cannot(t)
		return
	}
	w := b.worker()
	sink, err := b.run(w, "fine")
	b.want(sink, err, 1, "fine")
	if f := wantFault(t, b, w, "timed out after 300ms", "hang"); !f.Hung {
		t.Error("the fault does not say that the run hung")
	}
	w.Close()
	sink, err = b.run(b.worker(), "fine")
	b.want(sink, err, 1, "fine")
}

// givesBack: the packets behind a run that takes long are for others.
func givesBack(t *testing.T, k Kind) {
	if !k.GivesBack {
		cannot(t)
		return
	}
	b := open(t, k, Hang, func(m *seed.Manifest) { m.Timeout = 3 * time.Second })
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	for {
		w, sink := b.worker(), &Sink{}
		err := w.Run(ctx, Packets("hang", "for", "others"), sink)
		if err == nil && len(sink.Dones) == 0 && slices.Equal(sink.Backs, []int{0}) {
			continue // the machine is so busy that not even the first had begun by then
		}
		var f *runner.Fault
		if !errors.As(err, &f) || !f.Hung || len(sink.Dones) != 0 || !slices.Equal(sink.Backs, []int{1}) {
			t.Errorf("the worker ended with %v, %d runs were done, and those from %v on given back", err, len(sink.Dones), sink.Backs)
		}
		return
	}
}

// tidy has a run that is too long end in its own way, on SIGTERM, before it would be
// killed.
func tidy(t *testing.T, k Kind) {
	// On a busy machine a run may take its time until it can end in its own way.
	for _, timeout := range []time.Duration{2 * time.Second, 10 * time.Second, long / 2} {
		b := open(t, k, Tidy, func(m *seed.Manifest) { m.Timeout, m.Grace = timeout, long })
		if b == nil {
			cannot(t)
			return
		}
		wantFault(t, b, b.worker(), "timed out after "+timeout.String(), "hang")
		if b.printed("tidied") {
			return
		}
		t.Logf("a run that had %v did not print it", timeout)
	}
	t.Error("no run printed tidied")
}

func prints(t *testing.T, k Kind) {
	b := open(t, k, Print, nil)
	if b == nil {
		cannot(t)
		return
	}
	w := b.worker()
	sink, err := b.run(w, "x")
	b.want(sink, err, 1, "x")
	w.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.lines, "a line") {
		t.Errorf("printed %q, want a line", b.lines)
	}
}

func orphan(t *testing.T, k Kind) {
	b := open(t, k, Orphan, nil)
	if b == nil {
		cannot(t)
		return
	}
	w := b.worker()
	sink, err := b.run(w, "x")
	if err != nil || len(sink.Outs) != 1 {
		t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	w.Close()
	if pid := strings.TrimSpace(sink.Outs[0].Data); k.Alive(pid) {
		t.Errorf("the process %s outlived its worker", pid)
	}
}

func flood(t *testing.T, k Kind) {
	b := open(t, k, Flood, nil)
	if b == nil {
		cannot(t)
		return
	}
	want := k.Floods
	if want == 0 {
		want = Floods
	}
	sink := &Sink{Keep: 1}
	ctx, cancel := context.WithTimeout(context.Background(), 5*long)
	defer cancel()
	if err := b.worker().Run(ctx, Packets("x"), sink); err != nil {
		t.Fatal(err)
	}
	if sink.Count != want || len(sink.Dones) != 1 || sink.Dones[0] != nil {
		t.Errorf("gave %d packets and %v, want %d", sink.Count, sink.Dones, want)
	}
}

func injector(m *seed.Manifest) { m.Contract.In = nil }

// source runs an injector twice, as with pmk-every.
func source(t *testing.T, k Kind) {
	w := open(t, k, Source, injector).worker()
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), long)
		sink := &Sink{}
		err := w.Run(ctx, []packet.Packet{{}}, sink)
		cancel()
		if err != nil {
			t.Fatalf("the worker broke: %v", err)
		}
		if problem := sink.differs(1, []string{"a", "b", "c"}); problem != "" {
			t.Error(problem)
		}
	}
}

func endless(t *testing.T, k Kind) {
	b := open(t, k, Endless, injector)
	if b == nil {
		cannot(t)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	sink := &Sink{Keep: 1}
	sink.OnEmit = func(n int) {
		if n == 1000 {
			cancel()
		}
		if ctx.Err() != nil {
			sink.Refuse = ctx.Err()
		}
	}
	err := b.worker().Run(ctx, []packet.Packet{{}}, sink)
	if err == nil {
		err = errors.Join(sink.Dones...)
	}
	if !errors.Is(err, context.Canceled) || sink.Count < 1000 {
		t.Errorf("ended with %v after %d packets", err, sink.Count)
	}
}

func stubborn(t *testing.T, k Kind) {
	b := open(t, k, Stubborn, func(m *seed.Manifest) { m.Contract.In, m.Grace = nil, 300*time.Millisecond })
	if b == nil {
		cannot(t)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	w := b.worker()
	if err := w.Run(ctx, []packet.Packet{{}}, &Sink{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
	closed := make(chan struct{})
	go func() {
		w.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(long):
		t.Error("the worker does not close")
	}
}

func refused(t *testing.T, k Kind) {
	b := open(t, k, Echo, nil)
	no := errors.New("no such state")
	sink := &Sink{Refuse: no}
	if err := runAll(t.Context(), b.worker(), Packets("a", "b"), sink); err != nil {
		t.Fatal(err)
	}
	for i, err := range sink.Dones {
		if !errors.Is(err, no) {
			t.Errorf("run %d ended with %v, want the sink's error", i, err)
		}
	}
	if len(sink.Dones) != 2 {
		t.Errorf("%d runs were done", len(sink.Dones))
	}
}

func attributes(t *testing.T, k Kind) {
	b := open(t, k, Inherit, nil)
	if b == nil {
		cannot(t)
		return
	}
	batch := Packets("x", "y")
	batch[0].Extra = &packet.Extra{Attributes: packet.Attributes{"sample": "S 07\té \"x\"", "read_2": ""}}
	batch[1].Extra = &packet.Extra{Attributes: packet.Attributes{"sample": "next"}}
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	sink := &Sink{}
	err := runAll(ctx, b.worker(), batch, sink)
	b.want(sink, err, 2, "S 07\té \"x\"", "next")
	for _, out := range sink.Outs {
		if set := out.Attributes; k.SetsNone && set != nil || !k.SetsNone && !maps.Equal(set, packet.Attributes{"lane": "1"}) {
			t.Errorf("the output %q sets %v", out.Data, set)
		}
	}
}

// manyAttributes fill more than one run frame's header.
func manyAttributes(t *testing.T, k Kind) {
	b := open(t, k, Inherit, nil)
	if b == nil || k.Floods == 1 { // a process for each has them one by one
		cannot(t)
		return
	}
	batch := Packets(make([]string, 150)...)
	var want []string
	for i := range batch {
		want = append(want, fmt.Sprint(i))
		batch[i].Extra = &packet.Extra{Attributes: packet.Attributes{"sample": want[i], "long": strings.Repeat("x", 16_000)}}
	}
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	sink := &Sink{}
	w := b.worker()
	for range 2 {
		*sink = Sink{}
		b.want(sink, runAll(ctx, w, batch, sink), len(batch), want...)
	}
}

func batches(t *testing.T, k Kind) {
	b := open(t, k, Echo, nil)
	w := b.worker()
	for _, n := range []int{1, 256, 3, 256} {
		data := make([]string, n)
		for i := range data {
			data[i] = fmt.Sprintf("%d %s", i, strings.Repeat("y", 500))
		}
		if k.Floods == 1 { // a process for each: a few are enough
			data = data[:min(n, 10)]
		}
		sink, err := b.run(w, data...)
		b.want(sink, err, len(data), data...)
	}
}
