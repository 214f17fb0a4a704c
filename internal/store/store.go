// Package store is the contract between a node and the place where its packets are
// stored: queues of frames (a seed's inbox, a state that no seed accepts) and
// tables of records, which change together in transactions. A frame is several
// packets that are appended, leased and acknowledged as one unit; a store does
// not look into frames or records.
//
// Implementations live below this package and are held to the contract, and
// to what each of them promises, by storetest. They never import the node.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/recap/pumpkin/packet"
)

// A Store has frames in queues and records in tables. It is safe for
// concurrent use.
//
// Invariant: a frame that was appended is delayed, free, leased, or
// acknowledged, and only the last is gone.
type Store interface {
	// Commit does all of tx or, where the store's [Promise] says so, nothing.
	// It returns once what it did can be seen by every other call; with
	// tx.Durable it waits until that is as safe as the Promise says. Commits
	// of one goroutine take effect in their order. It may keep the bytes of
	// frames and records: nobody changes them afterwards.
	//
	// ErrFull says that there is no room for a frame of this rank, ErrBroken
	// that the store cannot be written for now, ErrLapsed that a lease of
	// tx.Ack has ended; nothing of tx was done then, nor if ctx ended and the
	// error is ctx's. After any other error tx may or may not have been done.
	Commit(ctx context.Context, tx *Tx) error

	// Pull leases at most most frames of a queue to the caller, oldest first.
	// It returns as soon as there is one, and waits for it until ctx ends;
	// the error is then ctx's. A queue that does not exist is empty, and is
	// not made. Frames that were released or whose holder died come again,
	// with a higher count of deliveries.
	Pull(ctx context.Context, from Queue, most int) ([]Lease, error)

	// Queues counts what lies in every queue that is not empty, leased and
	// delayed frames included, in the order of their names.
	Queues(ctx context.Context) ([]Count, error)

	// Look shows the frames of a queue, from that number on, oldest first,
	// leased ones included, then the delayed ones, without leasing them, until
	// visit returns false. Frames that come or go meanwhile may or may not be
	// shown. visit may use the store.
	Look(ctx context.Context, at Queue, from uint64, visit func(Stored) bool) error

	// Get is the record under a key; ok is false if there is none. The value
	// is the caller's.
	Get(ctx context.Context, key Key) (value []byte, ok bool, err error)

	// Scan shows the records of a table whose keys begin with prefix, in the
	// order of their keys, until visit returns false. visit may use the store;
	// key and value are the caller's.
	Scan(ctx context.Context, table Table, prefix string, visit func(key string, value []byte) bool) error

	// State says how full the store is and whether it can be written. It is
	// cheap.
	State() State

	// Close gives all leases back and ends the store; what was committed stays
	// as long as the [Promise] says. It may be called more than once.
	Close() error
}

// A Hurrier is a store that lets delayed frames go before their time.
type Hurrier interface {
	// Hurry has delayed frames of a queue be free now, those of whose data which says so,
	// and returns how many they were. The data is the store's.
	Hurry(ctx context.Context, at Queue, which func(data []byte) bool) (int, error)
}

// A Shared store is one that several nodes have in common. What only one of them
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

// A Stored is one frame that was looked at.
type Stored struct {
	Number uint64 // 0 for a delayed one
	Data   []byte // belongs to the caller
	Since  time.Time
	// NotBefore is when a delayed frame can be leased; zero for any other.
	NotBefore time.Time
}

// A Count is what lies in one queue.
type Count struct {
	Queue   Queue
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

// A Promise is what a store holds to.
type Promise struct {
	// Kill: what was committed survives the death of the process. PowerLoss:
	// what was committed as durable survives that of the machine.
	Kill, PowerLoss bool
	// Atomic: a transaction is done as a whole or not at all, whatever
	// happens meanwhile.
	Atomic bool
	// Replicas is how many machines have each frame; 0 counts as 1.
	Replicas int
}

var (
	// ErrFull is a frame that the store has no room for.
	ErrFull = errors.New("the store is full")
	// ErrTooLarge is data beyond the limit of a packet.
	ErrTooLarge = packet.ErrTooLarge
	// ErrBroken is a commit to a store that cannot be written for now: the
	// disk is full, or gives errors.
	ErrBroken = errors.New("the store cannot be written")
	// ErrLapsed is an acknowledgement under a lease that has ended.
	ErrLapsed = errors.New("the lease has ended")
	// ErrClosed is what every call gives after Close.
	ErrClosed = errors.New("the store is closed")
)
