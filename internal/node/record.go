package node

import (
	"fmt"
	"strings"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
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

// filter notes that nothing has come of it. A reader that does not know the line takes it for a
// begin, which it had.
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

// entryOf is the packet that holds lines of a record about p.
func entryOf(p *packet.Packet, lines string) *packet.Packet {
	return &packet.Packet{ID: p.ID, Ship: p.Ship, State: ledgerState, Data: lines}
}

// followNot takes out of a packet's wish that it is followed.
func followNot(p *packet.Packet) {
	if _, ok := followed(p); ok {
		wish := *p.Wish
		wish.Follow = packet.ID{}
		p.Wish = &wish
	}
}
