package node

import (
	"time"

	"github.com/recap/pumpkin/internal/runner"
)

// batch runs what was taken out of the queue.
func (r *run) batch() {
	h := r.host
	r.screen()
	if len(r.room.packets) == 0 {
		return
	}
	if err := r.open(r.pulling); err != nil {
		r.noWorker(h, err, r.room.items())
		return
	}
	r.flow.begin(r.room.from)
	r.now = r.clock.now() // reading large data is work as well
	r.rested = r.now - r.slot.idleSince
	if !h.streams && !r.load() {
		return
	}
	packets := r.room.packets // those whose data could not be read have left it
	r.slot.countIn(h.manifest.Contract.In, packets[:1])
	r.depth, r.timing, r.away, r.borrowed = 0, h.inline, 0, false
	r.slot.busy.Store(int64(r.now))
	r.watch.wake()
	r.start(r.running, packets, r.room.from)
	err := r.slot.worker.Run(r.ctx, packets, r)
	r.slot.busy.Store(0)
	r.slot.countIn(h.manifest.Contract.In, packets[1:max(r.back, 1)])
	r.slot.idleSince = r.clock.now()
	if r.done > 0 {
		h.cost.add(r.slot.idleSince-r.now-r.away, r.done, dataSize(packets[:r.done]))
	}
	if err != nil {
		r.broken(err)
	}
}

// inPlace runs it on the goroutine of the run that gave it, whose count of it stays.
func (r *run) inPlace(by *caller, it *item) {
	r.one[0], r.oneFrom[0] = it.Packet, it.from
	r.slot.countIn(r.host.manifest.Contract.In, r.one[:])
	r.now, r.depth, r.borrowed = by.now, by.depth+1, true
	r.placed++
	measured := r.placed%sampleEvery == 0
	r.timing, r.away = measured, 0
	var begun time.Duration
	if measured {
		begun = r.clock.now()
	}
	r.start(r.running, r.one[:], r.oneFrom[:])
	err := r.slot.worker.Run(r.ctx, r.one[:], r)
	if measured {
		r.host.cost.add(r.clock.now()-begun-r.away, 1, it.DataSize())
	}
	if err != nil {
		r.broken(err)
	}
	r.one[0].Data, r.oneFrom[0] = "", nil
}

// broken replaces a worker that is of no more use. A packet that was alone
// with it is to blame; others are tried again one by one.
func (r *run) broken(err error) {
	r.close()
	left := r.left()
	if len(left) > 0 {
		r.writeNotes(&left[0], false)
	}
	switch {
	case len(left) == 0:
		r.log.Warn("a worker ended after its work", "seed", r.host.name, "error", err)
	case r.running.Err() != nil:
		for i := range left {
			r.abandon(&left[i])
		}
	case r.unused(err):
		r.log.Warn("a worker is replaced", "seed", r.host.name, "error", err)
		r.again(r.host, left)
	case len(r.packets) == 1:
		r.ran(0, err)
		r.fail(r.host, &left[0], err)
	default:
		r.again(r.host, left)
	}
}

// screen sorts out the packets that others may have by now, those whose deadline has
// passed, and those that the seed no longer takes: its contract was another when they were
// put into its inbox.
func (r *run) screen() {
	b := &r.room
	kept := 0
	var asked *origin // whether its lease is doubtful
	doubt := false
	for i := range b.packets {
		p := &b.packets[i]
		if from := b.from[i]; from != nil && from.frame.peer != nil {
			if from.frame != asked {
				asked, doubt = from.frame, from.frame.doubtful(r.host)
			}
			if doubt {
				r.abandon(&item{Packet: *p, from: from})
				continue
			}
		}
		if p.Wish != nil && !p.Wish.Deadline.IsZero() && time.Now().After(p.Wish.Deadline) {
			r.deadLetter(r.host, &item{Packet: *p, from: b.from[i]}, &runner.Fault{Reason: "its deadline " + p.Wish.Deadline.Format(time.RFC3339) + " has passed"})
			continue
		}
		if !r.host.manifest.Contract.Takes(p.State) {
			r.reroute(&item{Packet: *p, from: b.from[i]}, r.host)
			continue
		}
		if kept < i {
			b.packets[kept], b.from[kept] = *p, b.from[i]
		}
		kept++
	}
	b.packets, b.from = b.packets[:kept], b.from[:kept]
}

// load gives the packets of the batch their large data, for a seed that takes
// all of it at once. Packets whose data cannot be read fail; false means that
// none is left.
func (r *run) load() bool {
	b := &r.room
	kept := 0
	for i := range b.packets {
		it := item{Packet: b.packets[i], from: b.from[i]}
		if it.Blob != nil {
			data, err := r.read(*it.Blob)
			if err != nil {
				r.fail(r.host, &it, &runner.Fault{Reason: err.Error()})
				continue
			}
			it.Data, it.Blob = data, nil
		}
		b.packets[kept], b.from[kept] = it.Packet, it.from
		kept++
	}
	b.packets, b.from = b.packets[:kept], b.from[:kept]
	return kept > 0
}
