package faulttest

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

const (
	// quota is how many packets a round has.
	quota = 400
	// patience is how long the last packets may take when nothing moves: a
	// few leases.
	patience = 30 * time.Second
)

// A rig is a node under load, with its data, its senders and its extractor's
// file.
type rig struct {
	t     *testing.T
	name  string
	rand  *rand.Rand
	work  string   // a folder for the rig itself
	data  string   // the node's
	args  []string // what the node is started with
	seeds int      // that it then hosts
	group string
	log   *os.File
	node  *nodeProcess
	feed  *feed
	mount mount // nil unless the fault has one
	arrivals
}

// arrivals are what extractors have noted in a file.
type arrivals struct {
	tally *tally
	sink  *os.File
	rest  []byte // of a line that is not whole yet
}

func newArrivals(t testing.TB, file string) arrivals {
	t.Helper()
	sink, err := os.OpenFile(file, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return arrivals{tally: newTally(), sink: sink}
}

// A mount is where a data folder may lie.
type mount interface{ Dir() string }

// newRig makes a rig whose node does not run yet. Without durability "disk" it
// has no data folder.
func newRig(t *testing.T, name, durability string) *rig {
	testenv.Need(t, "python3")
	seed, own := seeds(t)
	r := &rig{
		t: t, name: name, rand: rand.New(rand.NewPCG(seed, own)), seeds: 3, work: t.TempDir(),
		group: fmt.Sprintf("fault-%x", own), feed: newFeed(seed ^ own),
	}
	r.data = filepath.Join(r.work, "data")
	r.arrivals = newArrivals(t, filepath.Join(r.work, "sink"))
	r.args = []string{filepath.Join("testdata", "work.py"), "--group", r.group, "--durability", durability}
	var err error
	if r.log, err = os.Create(filepath.Join(r.work, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// seeds are what a test's draws follow from: the number of this run, which it
// says, and one that only this test has.
func seeds(t testing.TB) (run, own uint64) {
	run = uint64(time.Now().UnixNano())
	if text := os.Getenv("PMK_FAULT_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal("PMK_FAULT_SEED: ", err)
		}
		run = n
	}
	t.Logf("PMK_FAULT_SEED=%d", run)
	hash := fnv.New64()
	fmt.Fprint(hash, t.Name())
	return run, hash.Sum64()
}

// close ends what still runs, and shows what the node said if the test failed.
func (r *rig) close() {
	r.feed.change(func() { r.feed.ended = true })
	if r.node != nil {
		r.node.kill()
	}
	r.sink.Close()
	r.log.Close()
	if r.t.Failed() {
		r.t.Logf("the end of the node's log:\n%s", tail(r.said(), 6000))
	}
}

func (r *rig) said() string {
	text, err := os.ReadFile(r.log.Name())
	if err != nil {
		r.t.Error(err)
	}
	return string(text)
}

func tail(text string, most int) string { return text[max(0, len(text)-most):] }

// launch starts the node without waiting for it.
func (r *rig) launch() {
	r.t.Helper()
	args := slices.Clone(r.args)
	if r.data != "" {
		args = append(args, "--data", r.data)
	}
	n, err := launch(r.group, r.seeds, r.sink.Name(), r.log, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.node = n
}

// begin starts the node and returns at a random moment of its start.
func (r *rig) begin() {
	r.t.Helper()
	r.launch()
	time.Sleep(time.Duration(r.rand.IntN(150)) * time.Millisecond)
}

// try starts the node, and says why it does not come up.
func (r *rig) try() error {
	r.t.Helper()
	r.launch()
	if err := r.node.ready(30 * time.Second); err != nil {
		return err
	}
	r.feed.change(func() { r.feed.client = r.node.client })
	return nil
}

// start starts the node, which has to come up.
func (r *rig) start() {
	r.t.Helper()
	if err := r.try(); err != nil {
		r.t.Fatalf("start the node: %v", err)
	}
}

// kill ends the node without a warning; the senders wait for the next.
func (r *rig) kill() {
	r.node.kill()
	r.away()
}

func (r *rig) away() {
	r.feed.change(func() { r.feed.client = nil })
	if r.node.client != nil {
		r.node.client.Close()
	}
}

// load has senders send until the function that it returns is called.
func (r *rig) load() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { r.feed.run(ctx) })
	return func() {
		r.feed.change(func() { r.feed.ended = true })
		defer time.AfterFunc(10*time.Second, cancel).Stop()
		group.Wait()
		cancel()
	}
}

// moment allows a round's packets and waits until a random one of them was
// acknowledged, and then a little.
func (r *rig) moment() {
	r.t.Helper()
	aim := 0
	r.feed.change(func() {
		aim = r.feed.acked + 1 + r.rand.IntN(quota-2*senders)
		r.feed.quota = r.feed.acked + quota
	})
	if !r.feed.until(time.Minute, func() bool { return r.feed.acked >= aim }) {
		r.t.Fatalf("for a minute, the node has not taken %d packets: %v", quota, r.feed.fault)
	}
	time.Sleep(time.Duration(r.rand.IntN(5000)) * time.Microsecond) // between acknowledgements too
}

// read tallies what has arrived since the last call and returns how much that
// was, in bytes.
func (a *arrivals) read(t testing.TB) int {
	t.Helper()
	var text bytes.Buffer
	if _, err := text.ReadFrom(a.sink); err != nil {
		t.Fatal(err)
	}
	all := append(a.rest, text.Bytes()...)
	end := bytes.LastIndexByte(all, '\n') + 1
	for line := range strings.Lines(string(all[:end])) {
		a.tally.line(strings.TrimSuffix(line, "\n"))
	}
	a.rest = bytes.Clone(all[end:])
	return text.Len()
}

// missing are the packets that were acknowledged and have not arrived.
func (r *rig) missing() (list []packet.ID) {
	r.read(r.t)
	r.feed.change(func() { list = r.tally.missing(r.feed.all) })
	return list
}

// drain waits until every acknowledged packet has arrived, or nothing does any
// more.
func (r *rig) drain(patience time.Duration) {
	r.t.Helper()
	last := time.Now()
	for {
		if r.read(r.t) > 0 {
			last = time.Now()
		}
		if len(r.missing()) == 0 || time.Since(last) > patience {
			return
		}
		time.Sleep(20 * time.Millisecond) // it is another process's file: nothing tells
	}
}

// retryFailed sends packets on that wait in Error: states, as a person would, and
// tells whether there were some: who was at work on a packet at ten kills in a row
// is taken to have caused them, and so nothing is lost.
func (r *rig) retryFailed() bool {
	r.t.Helper()
	st, err := r.node.status()
	if err != nil {
		r.t.Error(err)
		return false
	}
	var failed []packet.State
	for _, w := range st.Waiting {
		if w.State.Type() == "Error" {
			failed = append(failed, w.State)
		}
	}
	if len(failed) == 0 {
		return false
	}
	r.tellWaiting(st)
	for _, state := range failed {
		err := r.node.client.EachInState(r.t.Context(), state, api.Ask{Limit: math.MaxInt32, Waiting: true}, func(p api.Packet) error {
			r.tally.tried[p.Ship.Root] = true
			return nil
		})
		if err != nil {
			r.t.Error(err)
		}
	}
	n, err := r.node.client.Retry(r.t.Context(), api.Selection{States: failed})
	r.t.Logf("%d packets that failed are tried again", n)
	if err != nil {
		r.t.Error(err)
	}
	return n > 0
}

// tellWaiting logs what still rests in the node's store: what did not arrive
// may be there.
func (r *rig) tellWaiting(st api.Status) {
	for _, s := range st.Seeds {
		if s.Stored > 0 || s.Queued > 0 {
			r.t.Logf("seed %s: %d stored, %d queued, %d running", s.Manifest.Name, s.Stored, s.Queued, s.Running)
		}
	}
	for _, w := range st.Waiting {
		r.t.Logf("%s: %d packets wait: %s", w.Place(), w.Packets, w.Why)
		if w.State == "" {
			continue
		}
		err := r.node.client.EachInState(r.t.Context(), w.State, api.Ask{Limit: 3, Waiting: true}, func(p api.Packet) error {
			r.t.Logf("  packet %s of %s, failed: %+v", p.ID, p.Ship, p.Fault)
			return nil
		})
		if err != nil {
			r.t.Log(err)
		}
	}
}

// finish ends the node and reports what came of all its packets.
func (r *rig) finish(rounds int) {
	r.t.Helper()
	r.away()
	if !r.node.end(20 * time.Second) {
		r.t.Error("the node did not end within 20 s of SIGTERM")
	}
	r.read(r.t)
	v := r.tally.judge(r.feed.all)
	report(r.name, rounds, v)
	v.check(r.t)
}

// check fails the test where something was lost or is wrong.
func (v *verdict) check(t testing.TB) {
	t.Helper()
	for _, text := range v.wrong[:min(5, len(v.wrong))] {
		t.Error(text)
	}
	if len(v.lost) > 0 {
		t.Errorf("%d packets were acknowledged and did not arrive: %s ...", len(v.lost), v.lost[0])
	}
}

// report prints what came of a fault, in one line.
func report(fault string, rounds int, v verdict, more ...string) {
	fmt.Printf("fault %-24s rounds %4d  packets %7d  lost %d  duplicates %d%s\n",
		fault, rounds, v.acked, len(v.lost), v.duplicates, strings.Join(append([]string{""}, more...), "  "))
}

// factor is by how much the rounds are multiplied.
func factor(t testing.TB) int {
	text := os.Getenv("PMK_FAULT_ROUNDS")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PMK_FAULT_ROUNDS is %q; expected a number", text)
	}
	return n
}
