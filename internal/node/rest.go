package node

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A Rested is a packet that lies in the node's store.
type Rested struct {
	packet.Packet
	// Place is where it lies: under its state, or in a seed's inbox. One in an
	// inbox may be at work already.
	Place store.Queue
	// Since is when it was stored there.
	Since time.Time
	// NotBefore is when it is tried again; the zero time is as soon as can be.
	NotBefore time.Time
}

// ErrTooMany is a look at the store that was given up, since there is too much.
var ErrTooMany = errors.New("there is too much in the store to look at all of it")

// maxLooked is how many frames one look goes through in which there is nothing that was
// asked for.
const maxLooked = 20_000

// Rests gives the packets of a state that lie in the node's store, those that wait
// first, then, unless these are all that is asked for, those in the inboxes of seeds,
// until visit returns false. The error is [ErrTooMany] where it did not come to the end.
func (f *flow) Rests(ctx context.Context, state packet.State, waiting bool, visit func(Rested) bool) error {
	return f.RestsWith(ctx, state, nil, waiting, visit)
}

// RestsWith is Rests of those packets that have these attributes.
func (f *flow) RestsWith(ctx context.Context, state packet.State, attributes packet.Attributes, waiting bool, visit func(Rested) bool) error {
	return f.look(ctx, func(at store.Queue) bool {
		if waits, ok := at.State(); ok {
			return waits == state
		}
		if waiting {
			return false
		}
		name, inbox := at.Seed()
		contract, hosted := f.snap.Load().net.Contract(name)
		return inbox && (!hosted || contract.Takes(state))
	}, func(p *packet.Packet) bool { return p.State == state && p.Attributes().Has(attributes) }, visit)
}

// Find gives all that lies in the node's store of the packet with this id: a copy
// for each seed that accepted it, until visit returns false. The error is
// [ErrTooMany] where it did not come to the end.
func (f *flow) Find(ctx context.Context, id packet.ID, visit func(Rested) bool) error {
	return f.look(ctx, store.Queue.Packets, func(p *packet.Packet) bool { return p.ID == id }, visit)
}

// look goes through the places that are meant, states first, for packets that match.
func (f *flow) look(ctx context.Context, means func(store.Queue) bool, match func(*packet.Packet) bool, visit func(Rested) bool) error {
	places, err := f.store.Queues(ctx)
	if err != nil {
		return err
	}
	left := maxLooked
	for _, inboxes := range []bool{false, true} {
		for _, c := range places {
			if _, inbox := c.Queue.Seed(); inbox != inboxes || !means(c.Queue) {
				continue
			}
			for r, err := range f.frames(ctx, c.Queue, 0) {
				if err != nil {
					return err
				}
				if left--; left < 0 {
					return ErrTooMany
				}
				for i := range r.packets {
					if !match(&r.packets[i]) {
						continue
					}
					left = maxLooked
					if !visit(Rested{r.packets[i], c.Queue, r.Since, r.NotBefore}) {
						return nil
					}
				}
			}
		}
	}
	return nil
}

// OpenData reads the data of a packet that lies here, wherever that is.
func (f *flow) OpenData(p *packet.Packet) (io.ReadCloser, error) {
	switch {
	case p.Blob == nil:
		return io.NopCloser(strings.NewReader(p.Data)), nil
	case f.blobs == nil:
		return nil, errors.New("there is no large data here")
	}
	return f.blobs.Open(*p.Blob)
}
