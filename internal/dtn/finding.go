package dtn

import (
	"fmt"
	"strings"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Finding is one thing that is wrong with a network, or looks so.
type Finding struct {
	Kind     Kind
	Severity Severity
	// Seed and State are what it is about; either may be empty. Seeds are
	// all the seeds concerned, Seed the first of them.
	Seed  seed.Name
	Seeds []seed.Name
	State packet.State
	// Near is the name that was perhaps meant, "" for none: of a state, or
	// for UnknownSeed of a seed.
	Near string
	// File and Line are where the seed is declared, on Node: "" and 0 for a
	// seed in the program.
	Node string
	File string
	Line int
	// Text says it in one sentence, without file and line.
	Text string
}

// Kind says what a finding is.
type Kind string

// The kinds of findings.
const (
	// Unaccepted: a seed gives a state that no seed accepts, so its packets
	// will wait. Error: states are meant to wait and are no finding.
	Unaccepted Kind = "unaccepted"
	// Ungiven: a seed that data does reach accepts one more state, which no
	// seed gives.
	Ungiven Kind = "ungiven"
	// Unreachable: no injector's data can reach the seed.
	Unreachable Kind = "unreachable"
	// UnknownSeed: a contract names Error:<seed>, and there is no such seed.
	UnknownSeed Kind = "unknown-seed"
	// Incomplete: a join whose inputs never come together in one ship.
	Incomplete Kind = "incomplete-join"
	// Endless: a cycle of seeds whose packets go round and never leave it.
	Endless Kind = "endless-cycle"
	// Duplicate: two seeds of one name on one node.
	Duplicate Kind = "duplicate-name"
	// Conflict: seeds of one name with different contracts.
	Conflict Kind = "contract-conflict"
)

// Severity says how bad a finding is.
type Severity string

// The severities: with an Error, a seed is not run as it is written; a
// Warning is what a network may be meant to be.
const (
	Warning Severity = "warning"
	Error   Severity = "error"
)

// about starts a finding about seeds, at the place of the first one's
// declaration.
func (n *Network) about(kind Kind, seeds ...int32) Finding {
	var home Hosted // nowhere, for a seed that is away
	if at := n.transitions[seeds[0]].replicas; len(at) > 0 {
		home = at[0]
	}
	f := Finding{
		Kind:     kind,
		Severity: Warning,
		Seed:     n.seeds[seeds[0]],
		Seeds:    n.names(seeds),
	}
	f.at(home)
	return f
}

func (f *Finding) at(h Hosted) {
	f.Node, f.File, f.Line = h.Node, h.Manifest.File, h.Manifest.Line
}

func (n *Network) names(seeds []int32) []seed.Name {
	names := make([]seed.Name, len(seeds))
	for i, s := range seeds {
		names[i] = n.seeds[s]
	}
	return names
}

// list writes names as a person would: the first few, and how many more.
func list[T ~string](names []T) string {
	const most = 4
	var b strings.Builder
	for i, name := range names {
		switch {
		case i == most && len(names) > most+1:
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			return b.String()
		case i == 0:
		case i == len(names)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(name))
	}
	return b.String()
}

// hint is what a text ends with when there is a name near the one in it.
func hint(what, near string) string {
	if near == "" {
		return ""
	}
	return "; nearest " + what + ": " + near
}
