package jetstream

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/recap/pumpkin/internal/store"
)

const (
	// Frames that are done with gather while others of the place were just taken
	// out of the server: for ackPause, and so long that removals, which appends
	// wait for, take no more than a part in ackShare of the time, but not for
	// longer than ackMost. A crash before a removal only runs what was done again.
	ackPause = 10 * time.Millisecond
	ackShare = 16
	ackMost  = 200 * time.Millisecond
	// ackStuck is how long one waits for those before it, so that all can go
	// together, until it is taken out by itself.
	ackStuck = 100 * time.Millisecond
	// maxGone is how many frames are remembered that were taken out behind one
	// that stays.
	maxGone = 1 << 16
	// frugalTime is how long after a disk gave an error frames are taken out one
	// by one: taking out many rewrites blocks, which needs room, and one by one
	// does not.
	frugalTime = time.Minute
)

// ending is the part of a line that takes frames that are done with out of the
// server: all that lie at the begin of the stream at once, since the server then
// syncs once for all of them.
//
// Invariant: no frame below floor is in the stream, and a frame that is in gone
// is not either. So what is taken out at once, from floor on, is only what is in
// done or gone.
type ending struct {
	busy  bool             // clean is under way
	floor uint64           // 0 is not known
	done  map[uint64]ended // acknowledged, and not taken out yet
	gone  map[uint64]bool  // taken out, above floor
}

// An ended frame is to be taken out.
type ended struct {
	size  int64
	since time.Time
}

// weight is what it counts for in unconfirmed: small ones have a cost as well.
func (e ended) weight() int64 { return e.size + 1<<10 }

// end has a frame taken out of the server. The lock is held.
func (l *line) end(number uint64, size int64) {
	if l.done == nil {
		l.done, l.gone = map[uint64]ended{}, map[uint64]bool{}
	}
	e := ended{size, time.Now()}
	l.done[number] = e
	l.s.endings++
	l.s.unconfirmed += e.weight()
	l.startClean()
}

// startClean begins to take out what is done with. The lock is held.
func (l *line) startClean() {
	if eng := l.s.eng; eng != nil && !l.busy && len(l.done) > 0 {
		l.busy = true
		eng.wg.Go(func() { l.clean(eng) })
	}
}

// removed notes that a frame is no more in the stream. The lock is held.
func (l *line) removed(number uint64) {
	l.unfresh(number)
	if e, ok := l.done[number]; ok {
		delete(l.done, number)
		l.s.confirmed(e)
	}
	if number < l.floor {
		return
	}
	if len(l.gone) >= maxGone { // look finds out where the stream begins
		clear(l.gone)
	}
	if l.gone == nil {
		l.gone = map[uint64]bool{}
	}
	l.gone[number] = true
}

// clean takes frames out until there is none to take.
func (l *line) clean(eng *engine) {
	for {
		low := l.s.room.low() != nil
		l.s.mu.Lock()
		if len(l.done) == 0 || eng.ctx.Err() != nil {
			l.busy = false
			l.s.mu.Unlock()
			return
		}
		below := l.head()
		frugal := low || time.Now().Before(l.s.frugal)
		l.s.mu.Unlock()
		began := time.Now()
		var err error
		switch {
		case frugal:
			err = l.removeOld(eng, 0)
		case below == 0:
			err = l.look(eng)
		default:
			err = l.removeBelow(eng, below)
		}
		if err != nil && eng.ctx.Err() == nil {
			l.s.mu.Lock()
			l.s.frugal = time.Now().Add(frugalTime)
			l.s.mu.Unlock()
			l.s.fault(fmt.Errorf("take what is done with out of %s: %w", l.at, err))
		}
		l.s.gather(eng, min(ackShare*time.Since(began), ackMost))
	}
}

// gather waits for more that is done with: for ackPause, and then until so much time
// has passed or somebody waits for what there is.
func (s *Store) gather(eng *engine, most time.Duration) {
	for ; ; most -= ackPause {
		select {
		case <-time.After(ackPause):
		case <-eng.ctx.Done():
			return
		}
		s.mu.Lock()
		hurry := s.settling > 0 || s.unconfirmed > maxUnconfirmed/4
		s.mu.Unlock()
		if hurry || most <= ackPause {
			return
		}
	}
}

// head is the number before which every frame is done with, if there are at least
// two of them; else 0. The lock is held.
func (l *line) head() (below uint64) {
	if l.floor == 0 {
		return 0
	}
	at, count := l.floor, 0
	for ; ; at++ {
		if _, ok := l.done[at]; ok {
			count++
		} else if !l.gone[at] {
			break
		}
	}
	if count < 2 {
		return 0
	}
	return at
}

// removeBelow takes everything out that is below the number.
func (l *line) removeBelow(eng *engine, below uint64) error {
	ctx, cancel := context.WithTimeout(eng.ctx, callWait)
	defer cancel()
	if err := eng.purge(ctx, l.at, below); err != nil {
		return err
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for at := l.floor; at < below; at++ {
		if e, ok := l.done[at]; ok {
			delete(l.done, at)
			l.s.confirmed(e)
		}
		delete(l.gone, at)
	}
	l.floor = max(l.floor, below)
	return nil
}

// look learns where the stream begins, and takes out by themselves what cannot go
// with others.
func (l *line) look(eng *engine) error {
	ctx, cancel := context.WithTimeout(eng.ctx, callWait)
	defer cancel()
	info, err := eng.info(ctx, eng.place(l.at).stream, noDetails)
	l.s.mu.Lock()
	if err == nil && info.State.FirstSeq > l.floor {
		l.floor = info.State.FirstSeq
		maps.DeleteFunc(l.gone, func(number uint64, _ bool) bool { return number < l.floor })
	}
	stuck := l.head() == 0
	l.s.mu.Unlock()
	if !stuck {
		return nil
	}
	return l.removeOld(eng, ackStuck)
}

// removeOld takes out by itself what has waited for so long, or is the first. In
// their order: what is taken out of the middle has the server rewrite a block,
// which a full disk has no room for.
func (l *line) removeOld(eng *engine, waited time.Duration) error {
	l.s.mu.Lock()
	var numbers []uint64
	for number, e := range l.done {
		if number == l.floor || time.Since(e.since) >= waited {
			numbers = append(numbers, number)
		}
	}
	l.s.mu.Unlock()
	slices.Sort(numbers)
	for _, number := range numbers {
		ctx, cancel := context.WithTimeout(eng.ctx, callWait)
		err := eng.remove(ctx, l.at, number)
		cancel()
		if err != nil {
			return err
		}
		l.s.mu.Lock()
		l.removed(number)
		l.s.mu.Unlock()
	}
	return nil
}

// purge takes everything out of a place that is below the number.
func (e *engine) purge(ctx context.Context, at store.Place, below uint64) error {
	var resp server.JSApiStreamPurgeResponse
	req := server.JSApiStreamPurgeRequest{Sequence: below}
	err := e.call(ctx, "$JS.API.STREAM.PURGE."+e.place(at).stream, req, &resp)
	if err == nil {
		err = apiError(resp.Error)
	}
	if isCode(err, server.JSStreamNotFoundErr) {
		return nil
	}
	return err
}
