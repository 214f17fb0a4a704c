package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

const (
	// maxBatch is how many frames one pull gives, and maxRead about how many bytes
	// are read for it.
	maxBatch = 32
	maxRead  = 4 << 20
	// pause is waited after an error of the server.
	pause = 50 * time.Millisecond
)

// Pull leases frames of a place. See [store.Store].
func (s *Store) Pull(ctx context.Context, from store.Place, most int) ([]store.Lease, error) {
	if most < 1 {
		return nil, fmt.Errorf("pull from %s: %d frames; expected at least one", from, most)
	}
	if err := from.Check(); err != nil {
		return nil, fmt.Errorf("pull: %w", err)
	}
	for {
		if err := s.awaitConfirmed(ctx); err != nil {
			return nil, err
		}
		eng, changed, err := s.current()
		if errors.Is(err, ErrClosed) {
			return nil, fmt.Errorf("pull from %s: %w", from, err)
		}
		if err == nil {
			got, err := s.pullFrom(ctx, eng, changed, from, min(most, maxBatch))
			if len(got) > 0 {
				return got, nil
			}
			if err != nil && ctx.Err() == nil {
				s.wake()
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pullFrom waits for frames until ctx ends, or there is another server.
func (s *Store) pullFrom(ctx context.Context, eng *engine, changed <-chan struct{}, from store.Place, most int) ([]store.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.line(from)
	l.pulls++
	defer func() {
		l.pulls--
		l.wanted = time.Now()
		l.wake() // whatever this one left is for the next
	}()
	for s.eng == eng && ctx.Err() == nil {
		var got []store.Lease
		var err error
		if numbers := l.due(most); len(numbers) > 0 {
			got, err = l.readAgain(ctx, eng, numbers)
		} else if got = l.take(most); len(got) == 0 && l.next <= l.last && !l.reading {
			got, err = l.read(ctx, eng, most)
		} else if len(got) == 0 {
			l.wait(ctx, changed)
		}
		if len(got) > 0 || err != nil {
			return got, err
		}
	}
	return nil, nil
}

// wait waits until there may be something to take. The lock is given up meanwhile.
func (l *line) wait(ctx context.Context, changed <-chan struct{}) {
	w := make(chan struct{})
	l.waiters = append(l.waiters, w)
	l.wake() // sets the timer for what is due later
	l.s.mu.Unlock()
	select {
	case <-w:
	case <-ctx.Done():
	case <-changed:
	}
	l.s.mu.Lock()
	l.leave(w)
}

// readAgain leases frames that were given back. The lock is given up meanwhile.
func (l *line) readAgain(ctx context.Context, eng *engine, numbers []uint64) (leases []store.Lease, err error) {
	epoch := l.epoch
	l.s.mu.Unlock()
	var frames []store.Resting
	asked := 0
	for _, number := range numbers {
		var r store.Resting
		r, err = eng.get(ctx, l.at, number, false)
		if err != nil && !errors.Is(err, errNoFrame) {
			break
		}
		if err == nil { // else it was removed meanwhile
			frames = append(frames, r)
		}
		asked++
		err = nil
	}
	l.s.mu.Lock()
	if l.epoch != epoch {
		return nil, err
	}
	for _, f := range frames {
		if !l.gone[f.Number] {
			leases = append(leases, l.lease(f.Number, f.Data))
		}
	}
	for _, number := range numbers[asked:] { // the server does not answer
		l.release(number, 0)
	}
	return leases, err
}

// read leases frames from next on. The lock is given up meanwhile.
func (l *line) read(ctx context.Context, eng *engine, most int) (leases []store.Lease, err error) {
	next, appends, epoch := l.next, l.appends, l.epoch
	l.reading = true
	l.s.mu.Unlock()
	frames, err := eng.read(ctx, l.at, next, most)
	if err == nil {
		frames, next, err = l.pass(ctx, eng, next, frames)
	}
	l.s.mu.Lock()
	l.reading = false
	if l.epoch != epoch {
		return nil, err
	}
	if errors.Is(err, errNoPlace) {
		err = nil
	}
	for _, f := range frames {
		// An append may have brought it meanwhile, and another pull taken it.
		if f.Number >= l.next && !l.gone[f.Number] {
			leases = append(leases, l.lease(f.Number, f.Data))
		}
	}
	l.next = max(l.next, next)
	if len(frames) == 0 && err == nil && l.appends == appends {
		l.last = l.next - 1 // what was known of it is not true any more
	}
	return leases, err
}

// pass finds the number after the frames that were read, from that number on. The
// server passes over what it cannot read without a word: what it passed over is asked
// for by its number, and told if it is neither there nor taken out.
func (l *line) pass(ctx context.Context, eng *engine, from uint64, read []store.Resting) (frames []store.Resting, next uint64, err error) {
	next = from
	for _, f := range read {
		if f.Number == next {
			next++
		}
	}
	if len(read) > 0 && next == read[len(read)-1].Number+1 {
		return read, next, nil
	}
	info, err := eng.info(ctx, eng.place(l.at).stream, withDeleted)
	if err != nil {
		return read, from, err
	}
	end := info.State.LastSeq + 1
	if len(read) > 0 {
		end = read[len(read)-1].Number + 1
	}
	for next = max(from, info.State.FirstSeq); next < end; next++ {
		if len(read) > 0 && read[0].Number == next {
			frames, read = append(frames, read[0]), read[1:]
			continue
		}
		if _, gone := slices.BinarySearch(info.State.Deleted, next); gone {
			continue
		}
		f, err := eng.get(ctx, l.at, next, false)
		switch {
		case err == nil: // it came just now
			frames = append(frames, f)
		case !errors.Is(err, errNoFrame):
			return frames, next, err
		case !l.isGone(next):
			l.s.tell(fmt.Sprintf("frame %d of %s cannot be read; 'pmk store check' tells more", next, l.at))
		}
	}
	return frames, end, nil
}

// isGone tells whether a frame was taken out by this process.
func (l *line) isGone(number uint64) bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return number < l.floor || l.gone[number]
}

// read reads up to most frames of a place, at most maxBatch, from that number on, oldest
// first; none if there is none.
func (e *engine) read(ctx context.Context, at store.Place, from uint64, most int) ([]store.Resting, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	inbox := nats.NewInbox()
	sub, err := e.reader.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("read from %s: %w", at, err)
	}
	defer sub.Unsubscribe()          //nolint:errcheck // fails when the connection is closed, which does as well
	_ = sub.SetPendingLimits(-1, -1) // bounded by what is asked for
	req := fmt.Appendf(nil, `{"seq":%d,"batch":%d,"max_bytes":%d}`, from, most, maxRead)
	if err := e.reader.PublishRequest("$JS.API.DIRECT.GET."+layout.StreamName(at), inbox, req); err != nil {
		return nil, fmt.Errorf("read from %s: %w", at, err)
	}
	var frames []store.Resting
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return frames, nil // no such place
		case err != nil && (e.ctx.Err() != nil || !e.alive()):
			return frames, errDown
		case err != nil:
			return frames, fmt.Errorf("read from %s: %w", at, err)
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
		case "204", "404": // the end, or nothing
			return frames, nil
		default:
			return frames, fmt.Errorf("read from %s: the server answers %s %s", at, status, msg.Header.Get("Description"))
		}
		r, err := resting(msg)
		if err != nil {
			return frames, fmt.Errorf("read from %s: %w", at, err)
		}
		frames = append(frames, r)
	}
}
