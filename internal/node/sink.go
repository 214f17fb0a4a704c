package node

import (
	"context"
	"errors"

	"github.com/recap/pumpkin/packet"
)

// Here a run is the sink of its worker.

// Emit routes one output of packet i of the batch.
func (r *run) Emit(i int, out packet.Output) error {
	if r.timing {
		begun := r.clock.now()
		defer func() { r.away += r.clock.now() - begun }()
	}
	if err := r.ctx.Err(); err != nil {
		return err // the node ends: also a seed that asks nobody stops here
	}
	if out.Blob != nil {
		if err := r.takeBlob(i, &out); err != nil {
			return err
		}
	}
	var child item
	port, err := r.output(&child, i, &out)
	if err != nil {
		return err
	}
	parent := &r.packets[i]
	if parent.Wish != nil {
		return r.emitWished(parent, &child, port)
	}
	child.Trail = r.trail(parent)
	return r.pass(&child, port.to)
}

// Back takes back packet i of the batch and those after it, which its worker has not
// begun: another may be free.
func (r *run) Back(i int) {
	r.entering.Add(1) // it may start a goroutine
	defer r.entering.Add(-1)
	its := make([]item, 0, len(r.packets)-i)
	for k := i; k < len(r.packets); k++ {
		its = append(its, r.item(k))
	}
	r.back = i
	r.takeBack(r.host, its)
}

// Done takes the verdict on packet i.
func (r *run) Done(i int, err error) {
	if (r.kept.on || err != nil) && (err == nil || r.ctx.Err() == nil) {
		r.ran(i, err)
	}
	r.verdict(i, err)
	if r.done < len(r.packets) { // it may be given back, and then nobody asks what began
		r.begin(r.done)
	}
}

func (r *run) verdict(i int, err error) {
	r.done = i + 1
	if err == nil {
		filtered := !r.host.manifest.Contract.Extractor() && (r.emitting != i || r.index == 0)
		if filtered {
			r.slot.filtered.Add(1)
		}
		if r.packets[i].Wish != nil {
			r.writeNotes(&item{Packet: r.packets[i], from: r.from[i]}, true, filtered)
		}
		if !r.borrowed {
			r.from[i].end(1)
		}
		return
	}
	it := r.item(i)
	r.writeNotes(&it, false, false)
	if errors.Is(err, context.Canceled) && r.ctx.Err() != nil {
		r.abandon(&it) // not the seed's fault: the node ends
		return
	}
	r.fail(r.host, &it, err)
}

// Flush has nothing to wait for: what descends from a frame is as safe as that
// is.
func (r *run) Flush() error { return nil }
