package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A packet that somebody follows is written down in a ledger, a place of the
// store: where it is (a seed's name, or ? and the state that it waits in), and
// when it is there no more. What a run begins and what it ends stand in one
// record, and the run's frame is acknowledged after it; so at any moment the
// ledger names at least what is on its way, and records that come twice or in
// another order change nothing.
//
// A record is the data of a packet in the state [ledgerState], a line each:
//
//	+ID PLACE      the packet ID is there
//	-ID PLACE      and is there no more
//	~ID PLACE      and has given nothing there, though the seed gives something
const ledgerState packet.State = "Ledger:RECORD"

const waitsIn = "?"

// A record gathers the lines of one change.
type record struct{ lines strings.Builder }

func (r *record) begin(id packet.ID, at string) { fmt.Fprintf(&r.lines, "+%s %s\n", id, at) }
func (r *record) end(id packet.ID, at string)   { fmt.Fprintf(&r.lines, "-%s %s\n", id, at) }

// filter notes that nothing has come of it. A reader that does not know the line takes it for a begin, which
// it had.
func (r *record) filter(id packet.ID, at string) { fmt.Fprintf(&r.lines, "~%s %s\n", id, at) }

// parts are the lines in pieces that go into a frame.
func (r *record) parts() []string {
	var parts []string
	rest := r.lines.String()
	for len(rest) > store.MaxInline {
		end := strings.LastIndexByte(rest[:store.MaxInline], '\n') + 1
		parts, rest = append(parts, rest[:end]), rest[end:]
	}
	return append(parts, rest)
}

// beginAll notes where a packet goes.
func (r *record) beginAll(p *packet.Packet, to []dest) {
	if len(to) == 0 || p.Hops() >= maxHops {
		r.begin(p.ID, waitsIn+string(p.State))
		return
	}
	for _, d := range to {
		r.begin(p.ID, string(d.name))
	}
}

// followed is the ledger of p.
func followed(p *packet.Packet) (packet.ID, bool) {
	if p.Wish == nil || p.Wish.Follow.IsZero() {
		return packet.ID{}, false
	}
	return p.Wish.Follow, true
}

// note writes a record into the ledger of it, whose frame is not acknowledged
// before that is stored. The commit tells when, for a packet without a frame.
func (n *Node) note(ctx context.Context, it *item, r *record) (*commit, error) {
	ledger, ok := n.ledgerOf(&it.Packet, r)
	if !ok {
		return nil, nil
	}
	to := []lane{{into: n.keeper(&it.Packet), queue: store.Ledger(ledger), rank: store.Descendant}}
	parts := r.parts()
	for i, lines := range parts {
		entry := &item{Packet: *entryOf(&it.Packet, lines), from: it.from}
		entry.from.hold()
		f, err := n.storeIn(ctx, entry, to, 0, bringer{})
		if err != nil {
			n.abandon(entry)
			return nil, err
		}
		if i == len(parts)-1 {
			return f, nil
		}
		// What ends stands in the last part, and counts after what begins.
		if f != nil {
			if err := f.await(ctx); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// ledgerOf is the ledger that r is to be written into, if there is one.
func (n *Node) ledgerOf(p *packet.Packet, r *record) (packet.ID, bool) {
	ledger, ok := followed(p)
	return ledger, ok && r.lines.Len() > 0 && n.ledgers.wants(ledger)
}

// entryOf is the packet that holds lines of a record about p.
func entryOf(p *packet.Packet, lines string) *packet.Packet {
	return &packet.Packet{ID: p.ID, Ship: p.Ship, State: ledgerState, Data: lines}
}

// keeper is the peer in whose store the ledger of p is kept, where it was
// injected; nil is the own store, and also where what is written waits for the
// peer to be met again.
func (n *Node) keeper(p *packet.Packet) *peer {
	if p.Ship.Node == n.cfg.Name {
		return nil
	}
	if to := n.peer(p.Ship.Node); to != nil && to.store != nil {
		return to
	}
	return nil
}

// ledgerOwner is the node that keeps the ledger of a frame's records; "" is what
// cannot be read.
func ledgerOwner(frame []byte) string {
	_, ps, err := packet.ParseFrame(frame)
	if err != nil || len(ps) == 0 {
		return ""
	}
	return ps[0].Ship.Node
}

// noteMove writes down that it goes from one place to others.
func (n *Node) noteMove(it *item, from string, to []dest) {
	if _, ok := followed(&it.Packet); !ok {
		return
	}
	var r record
	r.end(it.ID, from)
	r.beginAll(&it.Packet, to)
	if _, err := n.note(n.running, it, &r); err != nil {
		n.log.Debug("writing a ledger", "error", err)
	}
}

// unfollow notes that a waiting packet waits no more, and follows it no
// further: who followed it was told that it waits.
func (n *Node) unfollow(m *move, p *packet.Packet) error {
	if _, ok := followed(p); !ok {
		return nil
	}
	var r record
	r.end(p.ID, waitsIn+string(p.State))
	if err := m.note(p, &r); err != nil {
		return err
	}
	followNot(p)
	return nil
}

// A Ledger is what became of the packets that somebody follows.
type Ledger struct {
	// Begun counts the packets' stays at a seed or in a waiting state so far,
	// and Live those at a seed that go on.
	Begun int `json:"begun"`
	Live  int `json:"live"`
	// Waiting counts the packets that wait, by state; those in Error: states
	// failed.
	Waiting map[packet.State]int `json:"waiting"`
	// Kept counts those that are kept for seeds that are away, which are neither
	// Live nor Waiting.
	Kept map[seed.Name]int `json:"kept,omitempty"`
	// Filtered counts those that have ended at a seed which gave nothing for them, though its contract has
	// outputs.
	Filtered map[seed.Name]int `json:"filtered,omitempty"`
	// Held counts those of Live that are for seeds which do not run now, by why.
	Held map[string]int `json:"held,omitempty"`
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

// oldLedger is how long a ledger is kept that nobody has forgotten.
const oldLedger = 7 * 24 * time.Hour

// clearLedgers removes old ledgers: who waited for them has long gone.
func (n *Node) clearLedgers(ctx context.Context) error {
	places, err := n.store.Queues(ctx)
	for _, c := range places {
		if _, ok := c.Queue.Ledger(); ok && err == nil && time.Since(c.Since) > oldLedger {
			err = n.store.Commit(ctx, &store.Tx{Clear: []store.Queue{c.Queue}})
		}
	}
	return err
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

// Ledger sums a ledger up.
func (n *Node) Ledger(ctx context.Context, id packet.ID) (Ledger, error) {
	n.ledgers.mu.Lock()
	l := n.ledgers.open[id]
	if l == nil {
		l = &ledger{stays: map[stay]standing{}}
		n.ledgers.open[id] = l
	}
	n.ledgers.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	err := n.store.Look(ctx, store.Ledger(id), l.next, func(r store.Stored) bool {
		l.next = r.Number + 1
		_, ps, err := packet.ParseFrame(r.Data)
		if err != nil {
			n.log.Error(fmt.Sprintf("frame %d of the ledger %s: %v", r.Number, id, err))
			return true
		}
		for i := range ps {
			l.add(ps[i].Data)
		}
		return true
	})
	return l.sum(n.snap.Load()), err
}

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

// Forget removes a ledger.
func (n *Node) Forget(ctx context.Context, id packet.ID) error {
	n.ledgers.mu.Lock()
	delete(n.ledgers.open, id)
	if len(n.ledgers.over) >= maxOver {
		clear(n.ledgers.over)
	}
	n.ledgers.over[id] = true
	n.ledgers.mu.Unlock()
	return n.store.Commit(ctx, &store.Tx{Clear: []store.Queue{store.Ledger(id)}})
}
