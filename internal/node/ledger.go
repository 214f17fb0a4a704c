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
const ledgerState packet.State = "Ledger:RECORD"

const waitsIn = "?"

// A record gathers the lines of one change.
type record struct{ lines strings.Builder }

func (r *record) begin(id packet.ID, at string) { fmt.Fprintf(&r.lines, "+%s %s\n", id, at) }
func (r *record) end(id packet.ID, at string)   { fmt.Fprintf(&r.lines, "-%s %s\n", id, at) }

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
func (f *flow) note(ctx context.Context, it *item, r *record) (*commit, error) {
	ledger, ok := f.ledgerOf(&it.Packet, r)
	if !ok {
		return nil, nil
	}
	to := []lane{{into: f.keeper(&it.Packet), queue: store.Ledger(ledger), rank: store.Descendant}}
	parts := r.parts()
	for i, lines := range parts {
		entry := &item{Packet: *entryOf(&it.Packet, lines), from: it.from}
		entry.from.hold()
		c, err := f.storeIn(ctx, entry, to, 0, bringer{})
		if err != nil {
			f.abandon(entry)
			return nil, err
		}
		if i == len(parts)-1 {
			return c, nil
		}
		// What ends stands in the last part, and counts after what begins.
		if c != nil {
			if err := c.await(ctx); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// ledgerOf is the ledger that r is to be written into, if there is one.
func (f *flow) ledgerOf(p *packet.Packet, r *record) (packet.ID, bool) {
	ledger, ok := followed(p)
	return ledger, ok && r.lines.Len() > 0 && f.ledgers.wants(ledger)
}

// entryOf is the packet that holds lines of a record about p.
func entryOf(p *packet.Packet, lines string) *packet.Packet {
	return &packet.Packet{ID: p.ID, Ship: p.Ship, State: ledgerState, Data: lines}
}

// keeper is the peer in whose store the ledger of p is kept, where it was
// injected; nil is the own store, and also where what is written waits for the
// peer to be met again.
func (f *flow) keeper(p *packet.Packet) *peer {
	if p.Ship.Node == f.cfg.Name {
		return nil
	}
	if to := f.met(p.Ship.Node); to != nil && to.store != nil {
		return to
	}
	return nil
}

// noteMove writes down that it goes from one place to others.
func (f *flow) noteMove(it *item, from string, to []dest) {
	if _, ok := followed(&it.Packet); !ok {
		return
	}
	var r record
	r.end(it.ID, from)
	r.beginAll(&it.Packet, to)
	if _, err := f.note(f.running, it, &r); err != nil {
		f.log.Debug("writing a ledger", "error", err)
	}
}

// followNot takes out of a packet's wish that it is followed.
func followNot(p *packet.Packet) {
	if _, ok := followed(p); ok {
		wish := *p.Wish
		wish.Follow = packet.ID{}
		p.Wish = &wish
	}
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
func (f *flow) clearLedgers(ctx context.Context) error {
	places, err := f.store.Queues(ctx)
	for _, c := range places {
		if _, ok := c.Queue.Ledger(); ok && err == nil && time.Since(c.Since) > oldLedger {
			err = f.store.Commit(ctx, &store.Tx{Clear: []store.Queue{c.Queue}})
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
)

// Ledger sums a ledger up.
func (f *flow) Ledger(ctx context.Context, id packet.ID) (Ledger, error) {
	f.ledgers.mu.Lock()
	l := f.ledgers.open[id]
	if l == nil {
		l = &ledger{stays: map[stay]standing{}}
		f.ledgers.open[id] = l
	}
	f.ledgers.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	err := f.store.Look(ctx, store.Ledger(id), l.next, func(r store.Stored) bool {
		l.next = r.Number + 1
		_, ps, err := packet.ParseFrame(r.Data)
		if err != nil {
			f.log.Error(fmt.Sprintf("frame %d of the ledger %s: %v", r.Number, id, err))
			return true
		}
		for i := range ps {
			l.add(ps[i].Data)
		}
		return true
	})
	return l.sum(f.snap.Load()), err
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
		if head[0] == '-' {
			is = ended
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
		if is != began {
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
func (f *flow) Forget(ctx context.Context, id packet.ID) error {
	f.ledgers.mu.Lock()
	delete(f.ledgers.open, id)
	if len(f.ledgers.over) >= maxOver {
		clear(f.ledgers.over)
	}
	f.ledgers.over[id] = true
	f.ledgers.mu.Unlock()
	return f.store.Commit(ctx, &store.Tx{Clear: []store.Queue{store.Ledger(id)}})
}
