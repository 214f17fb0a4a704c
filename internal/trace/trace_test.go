package trace

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/packet"
)

// start is when the families of these tests come in.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// A family makes the shares of two nodes.
type family struct {
	root packet.ID
	ship packet.Ship
}

func newFamily() family {
	root := packet.HashID("root")
	return family{root, packet.Ship{Root: root, Node: "a"}}
}

func (f family) child(id packet.ID, seed string, index uint64) packet.ID {
	return packet.RunID(packet.KeyOf(seed), 0, id).Output(index)
}

// draw is the family as text, without its first lines.
func draw(t *testing.T, tr Trace, data bool) string {
	t.Helper()
	var b strings.Builder
	if err := Text(&b, tr, data, true); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(b.String(), "\n\n")
	return rest
}

// TestFamily draws one with all that may become of a packet, from the shares of
// two nodes.
func TestFamily(t *testing.T) {
	f := newFamily()
	kids := make([]packet.ID, 6)
	for i := range kids {
		kids[i] = f.child(f.root, "split", uint64(i))
	}
	states := []packet.State{"T:A", "T:B", "T:C", "T:D", "T:E", "T:F"}
	a := Share{Node: "a", Ships: []packet.Ship{f.ship}, Keeps: Keeps{OneIn: 1},
		Runs: []Run{
			{Packet: kids[0], Seed: "mend", Node: "a", State: "T:A", At: at(90), Took: time.Millisecond, Attempt: 2, Sink: true},
			{Packet: f.root, Born: true, Seed: "source", Node: "a", State: "T:IN", At: at(0)},
			{Packet: f.root, Seed: "split", Node: "a", State: "T:IN", At: at(1), Took: 40 * time.Microsecond, Attempt: 1, Gave: 9, Given: states},
			{Packet: kids[0], Seed: "mend", Node: "a", State: "T:A", At: at(5), Took: time.Millisecond, Attempt: 1, Error: "no\nmore"},
		},
		Rests: []Rest{
			{Packet: f.root, Node: "a", State: "T:IN", Seed: "split", Since: at(0)}, // has run
			{Packet: kids[2], Node: "a", State: "T:C", Since: at(2), Why: "no seed accepts it"},
			{Packet: kids[3], Node: "a", State: "T:D", Seed: "gone", Since: at(2), Why: "no node hosts the seed gone"},
		}}
	b := Share{Node: "b", Ships: []packet.Ship{f.ship}, Keeps: Keeps{OneIn: 1},
		Runs: []Run{
			{Packet: kids[1], Seed: "sieve", Node: "b", State: "T:B", At: at(7), Took: 2 * time.Second, Attempt: 1},
			{Packet: kids[4], Seed: "bad", Node: "b", State: "T:E", At: at(8), Took: time.Millisecond, Attempt: 1, Error: "boom", Last: true},
			{Packet: f.child(f.root, "split", 8), Seed: "late", Node: "b", State: "T:A", At: at(9), Attempt: 1, Sink: true},
			{Packet: packet.HashID("lost"), Seed: "orphan", Node: "b", State: "T:X", At: at(3), Attempt: 1, Gave: 2, Given: []packet.State{"T:Y", "T:Y"}, Stopped: true},
		},
		Rests: []Rest{
			{Packet: kids[4], Node: "b", State: "Error:bad", Since: at(10), Why: "no seed accepts it", Error: "boom"},
		}}
	tr := Build(f.ship, kids[4], []Share{a, b})
	short := func(id packet.ID) string { return id.String()[:8] }
	want := strings.NewReplacer("ROOT", short(f.root), "KID0", short(kids[0]), "KID1", short(kids[1]), "KID2", short(kids[2]), "KID3", short(kids[3]),
		"KID4", short(kids[4]), "KID5", short(kids[5]), "KID8", short(f.child(f.root, "split", 8)), "LOST", short(packet.HashID("lost"))).Replace(
		`T:IN  ROOT              a     +0 µs           from the injector source
` + "`" + `- split  ROOT          a   +1.0 ms    40 µs  T:IN -> 9 packets
   |- mend  KID0        a   +5.0 ms   1.0 ms  failed: no ... (attempt 1)
   |- mend  KID0        a  +90.0 ms   1.0 ms  T:A, ended
   |- sieve  KID1       b   +7.0 ms   2.00 s  T:B, filtered
   |- T:C  KID2         a   +2.0 ms           waits: no seed accepts it
   |- T:D  KID3         a   +2.0 ms           waits for gone: no node hosts the seed gone
   |- bad  KID4 <-      b   +8.0 ms   1.0 ms  failed for the last time: boom (attempt 1)
   |- Error:bad  KID4 <-  b  +10.0 ms          waits: no seed accepts it, after boom
   |- T:F  KID5                              in progress, or not kept
   |- late  KID8        b   +9.0 ms     0 µs  T:A, ended
   ` + "`" + `- ... and 2 packets more
T:X  LOST                                   which run gave it is not known
` + "`" + `- orphan  LOST         b   +3.0 ms     0 µs  T:X, stopped here as asked
a packet that is neither kept nor in a store is in the memory of a node, was dropped, or ended so long ago that its hops are no longer kept
`)
	// The columns are as wide as ids make them: blanks in a row count as one.
	if got := draw(t, tr, false); blanks(got) != blanks(want) {
		t.Errorf("drew\n%s\nexpected\n%s", got, want)
	}
	text, err := json.Marshal(tr)
	if err != nil {
		t.Fatal(err)
	}
	var back Trace
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if draw(t, back, false) != draw(t, tr, false) {
		t.Errorf("the trace as JSON comes back as another:\n%s", draw(t, back, false))
	}
}

func blanks(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	return strings.Join(lines, "\n")
}

// TestOrphanThatRests tells what its trail knows of it.
func TestOrphanThatRests(t *testing.T) {
	f := newFamily()
	tr := Build(f.ship, packet.ID{}, []Share{{Node: "a", Keeps: Keeps{OneIn: 1 << 40}, Partial: true, Rests: []Rest{
		{Packet: packet.HashID("x"), Node: "a", State: "T:C", Since: at(2), Why: "no seed accepts it", Trail: []Hop{{Seed: "s", Node: "a", At: at(0)}, {Seed: "r", Node: "b", At: at(1)}}},
	}}})
	got := draw(t, tr, false)
	for _, want := range []string{"came through s@a, r@b", "waits: no seed accepts it", "the store of node a has more packets than were searched", "not kept: node a runs so many packets now that it keeps one ship in 1099511627776"} {
		if !strings.Contains(got, want) {
			t.Errorf("drew\n%s\nwithout %q", got, want)
		}
	}
}

// TestOutputsBeyondBound looks for no more outputs than the bound says, whatever
// a share claims.
func TestOutputsBeyondBound(t *testing.T) {
	f := newFamily()
	tr := Build(f.ship, packet.ID{}, []Share{{Node: "a", Keeps: Keeps{OneIn: 1}, Runs: []Run{{Packet: f.root, Seed: "s", Node: "a", State: "T:A", At: at(0), Gave: 1 << 50}}}})
	if more := tr.Roots[0].Runs[0].More; more != 1<<50 {
		t.Errorf("%d more, expected all", more)
	}
}

func TestData(t *testing.T) {
	f := newFamily()
	long := strings.Repeat("ä", 10)
	run := Run{Packet: f.root, Ship: f.ship, Seed: "s", Node: "a", State: "T:A", At: at(0), Gave: 1, Stopped: true,
		Data: HeadOf(long, 5), Out: []Data{*HeadOf("\xff\x00", 5), *OfBlob(packet.Blob{Size: 1 << 30})}}
	if run.Data.Head() != "ää" || run.Data.Size != 20 || run.Data.Whole() {
		t.Errorf("the head of 5 bytes is %+v", run.Data)
	}
	text, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	var back Run
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	back.Ship = run.Ship // a share says it once
	back.At = run.At
	if !reflect.DeepEqual(run, back) {
		t.Errorf("%s comes back as %+v", text, back)
	}
	got := draw(t, Build(f.ship, packet.ID{}, []Share{{Node: "a", Keeps: Keeps{OneIn: 1}, Runs: []Run{run}}}), true)
	for _, want := range []string{`in: "ää"... (20 bytes, 4 of them kept)`, "out: (2 bytes that are no text)", "out: (1073741824 bytes, not kept here, SHA-256 0000"} {
		if !strings.Contains(got, want) {
			t.Errorf("drew\n%s\nwithout %s", got, want)
		}
	}
	run.Shorten(3)
	if run.Data.Head() != "ä" || run.Out[0].Head() != "\xff" {
		t.Errorf("shortened to 3 bytes it has %q and %q", run.Data.Head(), run.Out[0].Head())
	}
}

func TestPrefix(t *testing.T) {
	id, err := packet.ParseID("5e0c0d3f4b7a4c5d8f0e1a2b3c4d5e6f")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"5e0c": true, "5e0c0": true, "5e0c1": false, "5e0d": false, id.String()[:17]: true, "5e0c0d3f4b7a4c5d9": false, id.String()[:16]: true, "node:5e0c0d3f": true, "5E0C": true,
		id.String(): true, "node:" + id.String(): true, "5e0c0d3f4b7a4c5d8f0e1a2b3c4d5e6e": false,
	} {
		p, err := ParsePrefix(text)
		if err != nil || p.Means(id) != want {
			t.Errorf("%s means %s: %v, %v", text, id, p.Means(id), err)
		}
	}
	for _, text := range []string{"", "5e0", "node:5e", "5e0x", id.String() + "0", "node:"} {
		if _, err := ParsePrefix(text); err == nil {
			t.Errorf("%q is taken for an id", text)
		}
	}
	if p := PrefixOf(id); !p.Means(id) || p.String() != id.String() {
		t.Errorf("the prefix of %s is %s", id, p)
	}
}
