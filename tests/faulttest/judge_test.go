// Package faulttest checks what a node promises while it is killed, stopped,
// starved of disk and of power, and what several promise on a LAN that is cut,
// with strangers on it: every packet that one acknowledged arrives at an
// extractor at least once, with its own data, and when it arrives twice it bears
// the same id. It is tests alone.
//
// Each test prints its seed; PMK_FAULT_SEED=N runs with that one again, and
// PMK_FAULT_ROUNDS=N has N times the rounds.
package faulttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// dataOf is what the packet with this id carries: its id, and text that only
// it has, of a length of its own. One in 256 is too long to lie in a frame, and
// one in 65,536 has 2 MiB.
func dataOf(id packet.ID) string {
	text := packet.HashID("text", id.String()).String()
	b := id.Bytes()
	times := 1 + int(b[0])%24
	if b[1] == 0 {
		times = 1 + store.MaxInline/len(text)
		if b[2] == 0 {
			times *= 8
		}
	}
	return id.String() + "-" + strings.Repeat(text, times)
}

// A sent packet is what a sender knows of it.
type sent struct{ acked bool }

// A verdict is what came of a test's packets.
type verdict struct {
	acked, arrived, duplicates, stumps int
	lost                               []packet.ID // acknowledged, and never arrived
	wrong                              []string    // what must not be, a line each
}

// A tally judges what arrives, line by line.
type tally struct {
	as    map[packet.ID]string // the id that a packet had at the extractor, by its root's
	roots map[string]packet.ID // and the other way
	tried map[packet.ID]bool   // roots that were tried again by hand: what comes of them has another id
	got   []packet.ID          // roots, as they arrived
	verdict
}

func newTally() *tally {
	return &tally{as: map[packet.ID]string{}, roots: map[string]packet.ID{}, tried: map[packet.ID]bool{}}
}

// line takes one line of the extractor's: "ID DATA .".
func (t *tally) line(line string) {
	fields := strings.Split(line, " ")
	if line == "" {
		return
	}
	if len(fields) != 3 || fields[2] != "." {
		t.stumps++ // the kill came first; the packet was not acknowledged, and comes again
		return
	}
	id, data := fields[0], fields[1]
	text, _, _ := strings.Cut(data, "-")
	root, err := packet.ParseID(text)
	if err != nil || dataOf(root) != data {
		t.bad("data that belongs to no packet: %s", line)
		return
	}
	was, again := t.as[root]
	other, taken := t.roots[id]
	switch {
	case again && (was == id || t.tried[root] && !taken):
		t.duplicates++
	case again:
		t.bad("packet %s came as %s, and again as %s", root, was, id)
	case taken:
		t.bad("packets %s and %s both came as %s", other, root, id)
	default:
		t.as[root], t.roots[id] = id, root
		t.got = append(t.got, root)
	}
}

func (t *tally) bad(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	t.wrong = append(t.wrong, text[:min(len(text), 200)])
}

// missing are the packets that were acknowledged and have not arrived.
func (t *tally) missing(all map[packet.ID]sent) []packet.ID {
	var list []packet.ID
	for id, s := range all {
		if _, ok := t.as[id]; s.acked && !ok {
			list = append(list, id)
		}
	}
	slices.SortFunc(list, func(a, b packet.ID) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// judge is the verdict over all that was sent.
func (t *tally) judge(all map[packet.ID]sent) verdict {
	v := t.verdict
	v.wrong = slices.Clone(v.wrong)
	for _, root := range t.got {
		if _, ok := all[root]; !ok {
			v.wrong = append(v.wrong, fmt.Sprintf("packet %s arrived and was never sent", root))
		}
	}
	for _, s := range all {
		if s.acked {
			v.acked++
		}
	}
	v.arrived, v.lost = len(t.got), t.missing(all)
	return v
}

// TestJudge sees every kind of verdict, on made-up logs.
func TestJudge(t *testing.T) {
	id := func(name string) packet.ID { return packet.HashID(name) }
	line := func(as, of string) string { return id(as).String() + " " + dataOf(id(of)) + " ." }
	for _, c := range []struct {
		name                     string
		acked, unknown           string // packets, a letter each
		tried                    string // by hand
		lines                    []string
		lost, duplicates, stumps int
		wrong                    string
	}{
		{name: "all is well", acked: "ab", lines: []string{line("x", "a"), line("y", "b")}},
		{name: "lost", acked: "ab", lines: []string{line("x", "a")}, lost: 1},
		{name: "not acknowledged, not arrived", acked: "a", unknown: "b", lines: []string{line("x", "a")}},
		{name: "not acknowledged, and arrived", unknown: "b", lines: []string{line("x", "b")}},
		{name: "twice", acked: "a", lines: []string{line("x", "a"), line("x", "a")}, duplicates: 1},
		{name: "twice, with another id", acked: "a", lines: []string{line("x", "a"), line("y", "a")}, wrong: "again as"},
		{name: "twice, with another id, tried again", acked: "a", tried: "a", lines: []string{line("x", "a"), line("y", "a")}, duplicates: 1},
		{name: "tried again, with another's id", acked: "ab", tried: "a", lines: []string{line("x", "a"), line("y", "b"), line("y", "a")}, wrong: "again as"},
		{name: "two packets with one id", acked: "ab", lines: []string{line("x", "a"), line("x", "b")}, lost: 1, wrong: "both came as"},
		{name: "never sent", lines: []string{line("x", "a")}, wrong: "was never sent"},
		{name: "another's data", acked: "a", lines: []string{id("x").String() + " " + id("a").String() + "-" + dataOf(id("b"))[33:] + " ."}, lost: 1, wrong: "belongs to no packet"},
		{name: "a flipped bit", acked: "a", lines: []string{strings.Replace(line("x", "a"), "-", "-0", 1)}, lost: 1, wrong: "belongs to no packet"},
		{name: "no data", acked: "a", lines: []string{id("x").String() + "  ."}, lost: 1, wrong: "belongs to no packet"},
		{name: "a line cut short", acked: "a", lines: []string{line("x", "a")[:50], "", line("x", "a")}, stumps: 1},
		{name: "cut short and never again", acked: "a", lines: []string{line("x", "a")[:50]}, stumps: 1, lost: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := map[packet.ID]sent{}
			for _, letter := range c.acked {
				all[id(string(letter))] = sent{acked: true}
			}
			for _, letter := range c.unknown {
				all[id(string(letter))] = sent{}
			}
			tally := newTally()
			for _, letter := range c.tried {
				tally.tried[id(string(letter))] = true
			}
			for _, line := range c.lines {
				tally.line(line)
			}
			v := tally.judge(all)
			if len(v.lost) != c.lost || v.duplicates != c.duplicates || v.stumps != c.stumps || v.acked != len(c.acked) {
				t.Errorf("verdict %+v; expected %d lost, %d duplicates, %d cut short", v, c.lost, c.duplicates, c.stumps)
			}
			if wrong := strings.Join(v.wrong, "\n"); (wrong == "") != (c.wrong == "") || !strings.Contains(wrong, c.wrong) {
				t.Errorf("wrong: %q; expected %q", wrong, c.wrong)
			}
		})
	}
}
