package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/packet"
)

// sent is what one command has sent.
type sent struct {
	packet api.Sending
	lines  bool // each line of it is a packet
	taken  int
}

// root tells whether the id is that of a packet that was sent.
func (s *sent) root() func(packet.ID) bool {
	if !s.lines {
		return func(id packet.ID) bool { return id == s.packet.ID }
	}
	roots := make(map[packet.ID]bool, s.taken)
	for i := range s.taken {
		roots[s.packet.ID.Output(uint64(i))] = true
	}
	return func(id packet.ID) bool { return roots[id] }
}

// A failure is one way in which packets have failed for good, and how many.
type failure struct {
	State  packet.State `json:"state"`
	Error  string       `json:"error"`
	Output string       `json:"output,omitempty"`
	Count  int          `json:"count"`
}

const (
	// maxFailed is how many packets of an Error: state are looked at.
	maxFailed = 10000
	// maxFailures is how many ways of failing in a state are printed.
	maxFailures = 3
)

// errSeen ends a look at what waits.
var errSeen = errors.New("all were seen")

// failuresOf groups what failed for good of packets that descend from some that were sent, most
// frequent first. waiting says how many there are in each state.
func failuresOf(ctx context.Context, client *api.Client, waiting map[packet.State]int, root func() func(packet.ID) bool) ([]failure, error) {
	var out []failure
	var ours func(packet.ID) bool
	for _, state := range slices.Sorted(maps.Keys(waiting)) {
		left := waiting[state]
		if state.Type() != packet.ErrorType || left == 0 {
			continue
		}
		if ours == nil {
			ours = root()
		}
		var found []failure
		err := client.EachInState(ctx, state, api.Ask{Limit: maxFailed, Waiting: true}, func(p api.Packet) error {
			if p.Fault != nil && ours(p.Ship.Root) {
				found = addFailure(found, failure{state, p.Fault.Error, p.Fault.Output, 1})
				left--
			}
			if left == 0 {
				return errSeen
			}
			return nil
		})
		if err != nil && !errors.Is(err, errSeen) {
			return nil, err
		}
		slices.SortStableFunc(found, func(a, b failure) int { return b.Count - a.Count })
		out = append(out, found...)
	}
	return out, nil
}

func addFailure(found []failure, f failure) []failure {
	for i := range found {
		if found[i].Error == f.Error && found[i].Output == f.Output {
			found[i].Count++
			return found
		}
	}
	return append(found, f)
}

// printFailures writes how packets of a state have failed, each way once.
func printFailures(w io.Writer, all []failure, state packet.State) {
	shown := 0
	more := 0
	for _, f := range all {
		switch {
		case f.State != state:
			continue
		case shown == maxFailures:
			more += f.Count
			continue
		}
		shown++
		fmt.Fprintf(w, "  %s: %s\n", english.Plural(f.Count, "packet", ""), f.Error)
		for line := range strings.Lines(f.Output) {
			fmt.Fprintf(w, "    %s\n", strings.TrimRight(line, "\r\n"))
		}
	}
	if more > 0 {
		fmt.Fprintf(w, "  and %s in other ways\n", english.Plural(more, "packet", ""))
	}
}
