package node

import (
	"strings"
	"sync"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Ledger is what became of the packets that somebody follows.
type Ledger struct {
	// Begun counts the packets' stays at a seed or in a waiting state so far,
	// and Live those at a seed that go on.
	Begun int
	Live  int
	// Waiting counts the packets that wait, by state; those in Error: states
	// failed.
	Waiting map[packet.State]int
	// Kept counts those that are kept for seeds that are away, which are neither
	// Live nor Waiting.
	Kept map[seed.Name]int
	// Filtered counts those that have ended at a seed which gave nothing for them, though its
	// contract has outputs.
	Filtered map[seed.Name]int
	// Held counts those of Live that are for seeds which do not run now, by why.
	Held map[string]int
}

// ledgers are those that were asked for.
type ledgers struct {
	mu   sync.Mutex
	open map[packet.ID]*ledger
	over map[packet.ID]bool // were forgotten: nobody reads them any more
}

// maxOver is how many forgotten ledgers are known. What is written into others
// is removed at a later start.
const maxOver = 10_000

// wants tells whether somebody may read the ledger.
func (l *ledgers) wants(id packet.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.over[id]
}

// A ledger is the sum of its records up to next.
type ledger struct {
	mu    sync.Mutex
	next  uint64
	stays map[stay]standing
}

type stay struct {
	id packet.ID
	at string
}

type standing uint8

const (
	began standing = 1 << iota
	ended
	gaveNothing
)

// add takes a record.
func (l *ledger) add(lines string) {
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		head, at, ok := strings.Cut(line, " ")
		if !ok || len(head) < 2 {
			continue // a checksum held it together: a newer version wrote it
		}
		id, err := packet.ParseID(head[1:])
		if err != nil {
			continue
		}
		is := began
		switch head[0] {
		case '-':
			is = ended
		case '~':
			is = began | gaveNothing
		}
		l.stays[stay{id, at}] |= is
	}
}

func (l *ledger) sum(snap *snapshot) Ledger {
	out := Ledger{Waiting: map[packet.State]int{}, Held: map[string]int{}}
	for s, is := range l.stays {
		if is&began != 0 {
			out.Begun++
		}
		if is&ended != 0 && is&gaveNothing != 0 {
			if out.Filtered == nil {
				out.Filtered = map[seed.Name]int{}
			}
			out.Filtered[seed.Name(s.at)]++
		}
		if is&began == 0 || is&ended != 0 {
			continue
		}
		if state, waits := strings.CutPrefix(s.at, waitsIn); waits {
			out.Waiting[packet.State(state)]++
		} else if snap.away[seed.Name(s.at)] {
			if out.Kept == nil {
				out.Kept = map[seed.Name]int{}
			}
			out.Kept[seed.Name(s.at)]++
		} else {
			out.Live++
			if why := snap.whyHeld(seed.Name(s.at)); why != "" {
				out.Held[why]++
			}
		}
	}
	return out
}
