package node

import (
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// batch runs what was taken out of the queue. It tells whether the slot can go on.
func (r *run) batch() (goesOn bool) {
	h := r.host
	r.screen()
	if len(r.room.packets) == 0 {
		return true
	}
	if err := r.open(r.pulling); err != nil {
		if !h.manned() {
			r.noWorker(h, err, r.room.items())
			return true
		}
		r.slot.notBefore = r.clock.now() + restSlot
		h.faults.warn(r.log, workerMissing, fmt.Sprintf("a worker of seed %s more cannot be started: those that it has go on alone", h.name), err, time.Now().Add(restSlot), "seed", h.name)
		r.takeBack(h, r.room.items())
		return false
	}
	r.flow.begin(r.room.from)
	r.now = r.clock.now() // reading large data is work as well
	r.rested = r.now - r.slot.idleSince
	if !h.byPath && !r.load() {
		return true
	}
	packets := r.room.packets // those whose data could not be read have left it
	r.slot.countIn(h.manifest.Contract.In, packets[:1])
	r.depth, r.timing, r.away, r.borrowed = 0, h.Inline, 0, false
	r.slot.busy.Store(int64(r.now))
	r.watch.wake()
	r.start(r.running, packets, r.room.from, r.room.sole)
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
	return true
}

// restSlot is how long no worker is started in a slot where one could not be.
const restSlot = 5 * time.Second

// inPlace runs it on the goroutine of the run that gave it, whose count of it stays.
func (r *run) inPlace(by *caller, it *item) {
	r.one[0], r.oneFrom[0], r.oneSole[0] = it.Packet, it.from, it.sole
	r.slot.countIn(r.host.manifest.Contract.In, r.one[:])
	r.now, r.depth, r.borrowed = by.now, by.depth+1, true
	r.placed++
	measured := r.placed%sampleEvery == 0
	r.timing, r.away = measured, 0
	var begun time.Duration
	if measured {
		begun = r.clock.now()
	}
	r.start(r.running, r.one[:], r.oneFrom[:], r.oneSole[:])
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
		r.writeNotes(&left[0], false, false)
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
	case r.back == 1: // it was alone, or all others were given back
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
	var asked *origin // whether its lease is doubtful
	doubt := false
	b.keep(func(i int) bool {
		p := &b.packets[i]
		if from := b.from[i]; from != nil && from.frame.peer != nil {
			if from.frame != asked {
				asked, doubt = from.frame, from.frame.doubtful(r.host)
			}
			if doubt {
				it := b.item(i)
				r.abandon(&it)
				return false
			}
		}
		if p.Wish != nil && !p.Wish.Deadline.IsZero() && time.Now().After(p.Wish.Deadline) {
			it := b.item(i)
			r.deadLetter(r.host, &it, &runner.Fault{Reason: "its deadline " + p.Wish.Deadline.Format(time.RFC3339) + " has passed"})
			return false
		}
		if !r.host.manifest.Contract.Takes(p.State) {
			it := b.item(i)
			r.reroute(&it, r.host)
			return false
		}
		return true
	})
}

// load gives the packets of the batch their large data, unless the runner reads it
// from the store itself, for a seed that gets data in memory. Packets whose data
// cannot be read, or is too much for that, fail; false means that none is left.
func (r *run) load() bool {
	b := &r.room
	b.keep(func(i int) bool {
		p := &b.packets[i]
		if p.Blob == nil {
			return true
		}
		if err := r.tooLargeFor(p.Blob); err != nil {
			it := b.item(i)
			r.fail(r.host, &it, err)
			return false
		}
		if r.host.Streams {
			return true
		}
		data, err := r.read(*p.Blob)
		if err != nil {
			it := b.item(i)
			r.fail(r.host, &it, &runner.Fault{Reason: err.Error()})
			return false
		}
		p.Data, p.Blob = data, nil
		return true
	})
	return len(b.packets) > 0
}

// tooLargeFor is why the seed, which gets data in memory, is not given this, which came in
// as a file or a stream; nil if it is.
func (r *run) tooLargeFor(b *packet.Blob) error {
	most := r.cfg.MaxData
	if b.Size <= most {
		return nil
	}
	way := ": with pmk-data: path it is given a file"
	if !r.host.Streams {
		way = ""
	}
	return &runner.Fault{Reason: fmt.Sprintf("its data has %d bytes, and a seed gets at most %d in memory (--max-packet)%s", b.Size, most, way), Final: true}
}
