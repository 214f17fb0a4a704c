package store

import (
	"fmt"
	"strings"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Queue is the name of a queue of frames.
type Queue string

// Inbox is the queue of the packets that are for the seed.
func Inbox(name seed.Name) Queue { return Queue("in." + string(name)) }

// Waiting is the queue of the packets in a state that no seed accepts.
func Waiting(s packet.State) Queue {
	return Queue("wait." + s.Type() + "." + s.Name())
}

// Seed is the seed whose inbox this is.
func (q Queue) Seed() (seed.Name, bool) {
	name, ok := strings.CutPrefix(string(q), "in.")
	return seed.Name(name), ok
}

// State is the state of the packets that wait here.
func (q Queue) State() (packet.State, bool) {
	name, ok := strings.CutPrefix(string(q), "wait.")
	typ, name, both := strings.Cut(name, ".")
	if !ok || !both {
		return "", false
	}
	return packet.State(typ + ":" + name), true
}

// Ledger is the queue of the records about the packets that somebody follows
// under this id.
func Ledger(id packet.ID) Queue { return Queue("ledger." + id.String()) }

// Ledger is the id that the records here are about.
func (q Queue) Ledger() (packet.ID, bool) {
	text, ok := strings.CutPrefix(string(q), "ledger.")
	id, err := packet.ParseID(text)
	return id, ok && err == nil
}

// Packets tells whether what lies here is what people mean by packets: the
// records of a ledger are frames as well, but they are about packets.
func (q Queue) Packets() bool {
	_, inbox := q.Seed()
	_, waits := q.State()
	return inbox || waits
}

// Check says what is wrong with a queue's name that came from outside.
func (q Queue) Check() error {
	if name, ok := q.Seed(); ok {
		return packet.CheckName("seed's name", string(name))
	}
	if state, ok := q.State(); ok {
		_, err := packet.ParseState(string(state))
		return err
	}
	if _, ok := q.Ledger(); ok {
		return nil
	}
	return fmt.Errorf("queue %q is none of in.SEED, wait.TYPE.NAME and ledger.ID", string(q))
}

// A Ref names one frame.
type Ref struct {
	At     Queue
	Number uint64
}

// A Table is the name of a table: lower-case letters.
type Table string

// A Key names one record.
type Key struct {
	In  Table
	Key string // 1 to [MaxKey] bytes, any
}

// A Record is what a table holds under a key.
type Record struct {
	Key
	Value []byte // at most [MaxValue]
}

// The bounds of a record.
const (
	MaxTable = 32
	MaxKey   = 1 << 10
	MaxValue = 1 << 20
)

// Check says what is wrong with a key.
func (k Key) Check() error {
	if err := k.In.Check(); err != nil {
		return err
	}
	if n := len(k.Key); n < 1 || n > MaxKey {
		return fmt.Errorf("a key of %d bytes in the table %s; expected 1 to %d", n, k.In, MaxKey)
	}
	return nil
}

// Check says what is wrong with a table's name.
func (t Table) Check() error {
	if len(t) < 1 || len(t) > MaxTable || strings.Trim(string(t), "abcdefghijklmnopqrstuvwxyz") != "" {
		return fmt.Errorf("table %q: expected 1 to %d lower-case letters", string(t), MaxTable)
	}
	return nil
}
