package pebble

import (
	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// A request is one transaction on its way, or what the store does by itself.
type request struct {
	tx    *store.Tx
	moves []*delayed // to their queues

	turn   chan bool // true: lead the next group; false: the request is done
	leads  bool      // it was told to lead; under the writer's lock
	err    error
	synced *group // to wait for, once it is done

	acks    []*lease
	appends []placed
	removes []placed
	moved   []*delayed // of moves
}

// A placed frame is one that a request appends or takes out.
type placed struct {
	queue *queue
	frame *frame
	due   int64 // of a delayed one, whose delay is after
	after int64
}

// size is about how many bytes the request writes.
func (r *request) size() int {
	n := 0
	if r.tx != nil {
		for i := range r.tx.Append {
			n += len(r.tx.Append[i].Data) + overhead
		}
		for i := range r.tx.Put {
			n += len(r.tx.Put[i].Key.Key) + len(r.tx.Put[i].Value)
		}
		n += overhead * (len(r.tx.Ack) + len(r.tx.Delete))
	}
	for _, d := range r.moves {
		n += len(d.frame.data) + 2*overhead
	}
	return n
}

// A group is what one batch of the engine holds.
type group struct {
	batch *engine.Batch
	done  chan struct{} // closed when it is on the disk, or cannot be
	err   error
}
