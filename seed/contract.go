package seed

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// ParseContract reads a contract:
//
//	contract = [ states ] "->" [ states ]
//	states   = state { "|" state }      any of them
//	         | state { "&" state }      all of them; left of the arrow only
//
// At least one side has states, and none appears twice on its side. Space
// around the signs does not count. A state Error:NAME is what the seed NAME
// gave up on; it can be taken, not given.
func ParseContract(s string) (Contract, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Contract{}, errors.New("the contract is empty; expected INPUT -> OUTPUT, such as String:RAW -> String:CLEAN")
	}
	left, right, err := cutArrow(s)
	if err != nil {
		return Contract{}, fmt.Errorf("contract %q %w", s, err)
	}
	var c Contract
	if c.In, c.Join, err = parseStates(left); err != nil {
		return Contract{}, fmt.Errorf("contract %q, left of the arrow: %w", s, err)
	}
	var all bool
	if c.Out, all, err = parseStates(right); err != nil {
		return Contract{}, fmt.Errorf("contract %q, right of the arrow: %w", s, err)
	}
	if all {
		return Contract{}, fmt.Errorf("contract %q has & right of the arrow; a seed gives any of its states, as often as it likes: expected |", s)
	}
	if err := c.check(); err != nil {
		return Contract{}, fmt.Errorf("contract %q %w", s, err)
	}
	return c, nil
}

// check says what no contract may have, however it is written.
func (c Contract) check() error {
	if len(c.In) == 0 && len(c.Out) == 0 {
		return errors.New("has a state on neither side; a seed takes data, gives data, or both")
	}
	for _, s := range c.Out {
		if s.Type() == packet.ErrorType {
			return fmt.Errorf("gives %s; packets get there by failing, no seed gives them", s)
		}
	}
	return nil
}

// cutArrow cuts s at its arrow.
func cutArrow(s string) (left, right string, err error) {
	for _, wrong := range []string{"-->", "->>", "=>", "→", "⇒", "—>", "–>", "<-"} {
		if strings.Contains(s, wrong) {
			return "", "", fmt.Errorf("has %q; the arrow is written ->", wrong)
		}
	}
	switch n := strings.Count(s, "->"); n {
	case 0:
		return "", "", errors.New("has no arrow; expected INPUT -> OUTPUT, with nothing left of -> for a seed that only gives data, nothing right of it for one that only takes it")
	case 1:
		left, right, _ = strings.Cut(s, "->")
		return left, right, nil
	default:
		return "", "", fmt.Errorf("has %d arrows; a contract is one INPUT -> OUTPUT", n)
	}
}

// parseStates reads one side of a contract; all says that & joins its states.
func parseStates(side string) (states []packet.State, all bool, err error) {
	side = strings.TrimSpace(side)
	if side == "" {
		return nil, false, nil
	}
	sep := "|"
	if all = strings.Contains(side, "&"); all {
		sep = "&"
		if strings.Contains(side, "|") {
			return nil, false, errors.New("| (any of) and & (all of) are mixed; use one of them, and a second seed for the rest")
		}
	}
	for part := range strings.SplitSeq(side, sep) {
		part = strings.TrimSpace(part)
		if part == "" {
			return nil, false, fmt.Errorf("a state is missing before or after %s", sep)
		}
		state, err := parseState(part)
		if err != nil {
			return nil, false, err
		}
		if slices.Contains(states, state) {
			return nil, false, fmt.Errorf("%s appears twice", state)
		}
		states = append(states, state)
	}
	return states, all, nil
}

// parseState reads one state of a contract and knows what people write there
// instead.
func parseState(s string) (packet.State, error) {
	if strings.ContainsAny(s, ",;/+ \t") {
		return "", fmt.Errorf("%q is not a state; states are separated by | (any of) or & (all of)", s)
	}
	if strings.Count(s, ":") == 2 {
		return "", fmt.Errorf("state %q has three parts; a state is Type:NAME, and the group is set by a pmk-group line", s)
	}
	state, err := packet.ParseState(s)
	if err != nil {
		return "", err
	}
	if typ := state.Type(); typ != packet.ErrorType && strings.EqualFold(typ, packet.ErrorType) {
		return "", fmt.Errorf("state %q: did you mean %s:%s?", s, packet.ErrorType, state.Name())
	}
	return state, nil
}

// DefaultRetries is how often a run of such a seed is tried again where the seed does not say. An
// injector is started again for ever: nothing else would bring its data in.
func (c Contract) DefaultRetries() int {
	if c.Injector() {
		return Unlimited
	}
	return DefaultRetries
}

// Injector tells whether the seed takes no data.
func (c Contract) Injector() bool { return len(c.In) == 0 }

// Extractor tells whether the seed gives no data.
func (c Contract) Extractor() bool { return len(c.Out) == 0 }

// Takes tells whether state is among the states that the seed takes.
func (c Contract) Takes(state packet.State) bool { return slices.Contains(c.In, state) }

// Gives tells whether state is among the states that the seed may give.
func (c Contract) Gives(state packet.State) bool { return slices.Contains(c.Out, state) }

// Same tells whether both say the same, whatever the order of their states.
func (c Contract) Same(other Contract) bool {
	return c.Join == other.Join && sameStates(c.In, other.In) && sameStates(c.Out, other.Out)
}

func sameStates(a, b []packet.State) bool {
	sorted := func(states []packet.State) []packet.State {
		return slices.Compact(slices.Sorted(slices.Values(states)))
	}
	return slices.Equal(sorted(a), sorted(b))
}

// String is the contract as [ParseContract] reads it; equal contracts are
// equal texts.
func (c Contract) String() string {
	sep := " | "
	if c.Join {
		sep = " & "
	}
	in, out := joinStates(c.In, sep), joinStates(c.Out, " | ")
	return strings.TrimSpace(in + " -> " + out)
}

func joinStates(states []packet.State, sep string) string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return strings.Join(names, sep)
}

// A Contract is what a seed takes and gives. No input makes an injector, no
// output an extractor.
type Contract struct {
	// In are the states that the seed takes: any of them, or, if Join, all
	// of them together.
	In []packet.State
	// Join says that one packet of each state of In makes one run.
	Join bool
	// Out are the states that the seed may give.
	Out []packet.State
}

// DefaultRetries is how often a packet is tried again after its first run
// failed. With the pauses between, that takes more than four minutes.
const DefaultRetries = 5

// Unlimited as a seed's Retries: a run that failed is tried again until one succeeds.
const Unlimited = -1
