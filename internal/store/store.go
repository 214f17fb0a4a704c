// Package store is the contract between a node and where its packets rest:
// inboxes of seeds, and states that no seed accepts. What rests there are
// frames, several packets that are appended, leased and acknowledged as one
// unit; a store does not look into them.
//
// Implementations live below this package and are held to the contract, and
// to what each of them promises, by storetest. They never import the node.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Store keeps frames in places. It is safe for concurrent use.
//
// Invariant: a frame that was appended is free, leased, or acknowledged, and
// only the last is gone.
type Store interface {
	// Append puts a frame at the end of a place, which it makes if need be,
	// and returns once the frame is as safe as the store's [Promise] says.
	// It does not keep f.Data. When it returns an error the frame may or may
	// not have been stored: append it again, since a frame that is there
	// twice does no harm. ErrFull says that there is no room for a frame of
	// this rank, ErrBroken that the store cannot be written for now; neither
	// stored anything.
	Append(ctx context.Context, to Place, f Frame) error

	// Pull leases at most most frames of a place to the caller, oldest first.
	// It returns as soon as there is one, and waits for it until ctx ends;
	// the error is then ctx's. A place that does not exist is empty. Frames
	// that were released or whose holder died come again, with a higher
	// count of deliveries.
	Pull(ctx context.Context, from Place, most int) ([]Lease, error)

	// Places counts what lies in every place that is not empty, leased frames
	// included, in the order of their names.
	Places(ctx context.Context) ([]Count, error)

	// Look shows the frames of a place, from that number on, oldest first,
	// leased ones included, without leasing them, until visit returns false.
	// Frames that come or go meanwhile may or may not be shown. visit may use
	// the store.
	Look(ctx context.Context, at Place, from uint64, visit func(Resting) bool) error

	// Remove takes the frame with this number out of a place, whether it is
	// leased or not. It is no error if there is none.
	Remove(ctx context.Context, at Place, number uint64) error

	// Clear takes all frames out of a place that nobody pulls from, and forgets
	// it: its numbers may begin anew.
	Clear(ctx context.Context, at Place) error

	// State tells how full the store is and whether it can be written. It is
	// cheap.
	State() State

	// Close gives all leases back and ends the store; what was appended stays
	// as long as the [Promise] says. It may be called more than once.
	Close() error
}

// Shared is a store that several nodes have in common. What only one of them
// may do at a time, such as moving frames that wait, takes Exclusive.
type Shared interface {
	Store
	// Exclusive waits until no other node is alone at what the name stands for,
	// letters, digits, '_' and '-', and then is, until release. The context it
	// gives ends with ctx, with release, and when this node was cut off for
	// so long that another may have taken over: then whatever is under way
	// has to stop. A node that dies is followed within [MaxLapse]. release
	// waits until the next may go on; it may be called more than once.
	Exclusive(ctx context.Context, name string) (held context.Context, release func(), err error)
}

// A Lease is one frame that its holder alone works on. The store renews it for
// as long as the process lives and neither Ack nor Release was called; when the
// process dies, the frame is free again within [MaxLapse]. It is safe for
// concurrent use.
type Lease interface {
	// Data is the frame. Nobody changes it after the pull, nor may the holder:
	// it may be the store's only copy. It stays valid when the lease ends.
	Data() []byte
	// Number is the frame's number in its place: unique there, for ever, and
	// in the order of the appends.
	Number() uint64
	// Deliveries counts how often the frame was leased, this time included.
	Deliveries() int
	// Ack ends the lease and the frame. It does not wait for the disk: after
	// a crash the frame may come again.
	Ack() error
	// Release gives the frame back. It can be leased again after the delay.
	Release(after time.Duration) error
}

// MaxLapse is how long after its holder's death a frame can be leased again.
const MaxLapse = 10 * time.Second

// A Frame is what is appended.
type Frame struct {
	Data []byte
	// Packets is how many packets the frame holds, 1 to [MaxPackets]; it is
	// what [Count] adds up.
	Packets int
	// Rank says how far into the reserve the frame may go.
	Rank Rank
}

// The bounds of a frame. A packet whose data exceeds [MaxInline] is stored by
// reference, so that one packet always fits.
const (
	MaxPackets = 256
	MaxBytes   = 512 << 10 // packets are added to a frame while it is below
	MaxInline  = 256 << 10
	// MaxFrame is the most bytes that one frame may have.
	MaxFrame = 1 << 20
)

// A Rank says whose room a frame may take.
type Rank uint8

const (
	// Root frames come from outside. They are refused when the store's size
	// is reached.
	Root Rank = iota
	// Descendant frames are what runs gave, errors and moves. They may use
	// the reserve too, because they are what empties the store.
	Descendant
)

// A Resting is one frame that was looked at.
type Resting struct {
	Number uint64
	Data   []byte // belongs to the caller
	Since  time.Time
}

// A Count is what lies in one place.
type Count struct {
	Place   Place
	Frames  int
	Packets int
	Bytes   int64
	Since   time.Time // when the oldest frame was appended
}

// A State is how a store does.
type State struct {
	// Used are the bytes that frames take, Size those that roots may take,
	// and Reserve those beyond that for descendants. Size is 0 for a store
	// without a bound.
	Used, Size, Reserve int64
	// Err says why the store cannot be written now; nil when it can.
	Err error
	// Damage are what the store found broken in what it keeps, a line each.
	Damage []string
}

// A Promise is what appended frames survive.
type Promise struct {
	// Kill: the death of the process. PowerLoss: that of the machine.
	Kill, PowerLoss bool
}

var (
	// ErrFull is an append that the store has no room for.
	ErrFull = errors.New("the store is full")
	// ErrTooLarge is data beyond the limit of a packet.
	ErrTooLarge = packet.ErrTooLarge
	// ErrBroken is an append to a store that cannot be written for now: the
	// disk is full, or gives errors.
	ErrBroken = errors.New("the store cannot be written")
)

// A Place is a queue of frames in a store.
type Place string

// Inbox is the place of the packets that are for the seed.
func Inbox(name seed.Name) Place { return Place("in." + string(name)) }

// Waiting is the place of the packets in a state that no seed accepts.
func Waiting(s packet.State) Place {
	return Place("wait." + s.Type() + "." + s.Name())
}

// Seed is the seed whose inbox this is.
func (p Place) Seed() (seed.Name, bool) {
	name, ok := strings.CutPrefix(string(p), "in.")
	return seed.Name(name), ok
}

// State is the state of the packets that wait here.
func (p Place) State() (packet.State, bool) {
	rest, ok := strings.CutPrefix(string(p), "wait.")
	typ, name, both := strings.Cut(rest, ".")
	if !ok || !both {
		return "", false
	}
	return packet.State(typ + ":" + name), true
}

// Ledger is the place of the records about the packets that somebody follows
// under this id.
func Ledger(id packet.ID) Place { return Place("ledger." + id.String()) }

// Ledger is the id that the records here are about.
func (p Place) Ledger() (packet.ID, bool) {
	rest, ok := strings.CutPrefix(string(p), "ledger.")
	id, err := packet.ParseID(rest)
	return id, ok && err == nil
}

// Note is the place of what a node remembers beside its packets: under a word
// for what it is about, and a name.
func Note(about, name string) Place { return Place("note." + about + "." + name) }

// Note is what is remembered here.
func (p Place) Note() (about, name string, ok bool) {
	rest, ok := strings.CutPrefix(string(p), "note.")
	about, name, both := strings.Cut(rest, ".")
	return about, name, ok && both
}

// Packets tells whether what lies here is what people mean by packets: records
// and notes are frames as well, but they are about packets.
func (p Place) Packets() bool {
	_, inbox := p.Seed()
	_, waits := p.State()
	return inbox || waits
}

// Check says what is wrong with a place that came from outside.
func (p Place) Check() error {
	if name, ok := p.Seed(); ok {
		return packet.CheckName("seed's name", string(name))
	}
	if state, ok := p.State(); ok {
		_, err := packet.ParseState(string(state))
		return err
	}
	if _, ok := p.Ledger(); ok {
		return nil
	}
	if about, name, ok := p.Note(); ok {
		return errors.Join(packet.CheckName("kind of note", about), packet.CheckName("note's name", name))
	}
	return fmt.Errorf("place %q is none of in.SEED, wait.TYPE.NAME, ledger.ID and note.ABOUT.NAME", string(p))
}

// CheckFrame says what is wrong with a frame that is to be appended.
func CheckFrame(f Frame) error {
	switch {
	case f.Packets < 1 || f.Packets > MaxPackets:
		return fmt.Errorf("a frame of %d packets; expected 1 to %d", f.Packets, MaxPackets)
	case len(f.Data) == 0 || len(f.Data) > MaxFrame:
		return fmt.Errorf("a frame of %d bytes; expected 1 to %d", len(f.Data), MaxFrame)
	}
	return nil
}
