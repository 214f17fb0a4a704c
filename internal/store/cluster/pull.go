package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
)

const (
	// pullWait is how long a request stays open. The server
	// says every pullBeat that it is; one that is not heard of for twice that is
	// lost, with the server that had it.
	pullWait = 10 * time.Second
	pullBeat = 2 * time.Second
	// lookAgain is when a queue that did not exist is looked for again: nodes
	// tell each other of new ones, but a message can be lost.
	lookAgain = 5 * time.Second
	// maxIdle is how many subscriptions of a queue stay for later pulls.
	maxIdle = 4
)

// Pull leases frames of a queue. See [store.Store].
func (s *holder) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	if most < 1 {
		return nil, fmt.Errorf("pull from %s: %d frames; expected at least one", from, most)
	}
	if err := s.lookUp(from).check(); err != nil {
		return nil, fmt.Errorf("pull from %s: %w", from, err)
	}
	for {
		if err := s.awaitConfirmed(ctx); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		changed, err := s.current()
		if err != nil {
			return nil, fmt.Errorf("pull from %s: %w", from, err)
		}
		q := s.lookUp(from)
		got, err := s.pullFrom(ctx, q, min(most, maxBatch))
		if len(got) > 0 {
			return got, nil
		}
		var wait time.Duration
		switch {
		case err == nil:
			continue
		case errors.Is(err, errNoQueue):
			wait = lookAgain
		default:
			q.forget()
			wait = pause
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pullFrom takes what is there, or waits a while for the first frame.
func (s *holder) pullFrom(ctx context.Context, q *queue, most int) ([]store.Lease, error) {
	calls, cancel := s.within(ctx, callWait)
	err := s.ensureConsumer(calls, q)
	cancel()
	if err != nil {
		return nil, err
	}
	q = s.queue(q.name) // it exists
	sub, err := s.subscription(q)
	if err != nil {
		return nil, err
	}
	r := &request{s: s, q: q, sub: sub}
	// A request for all that is there stays open for the first when there is
	// nothing; but while others wait it is refused, and an ordinary one takes
	// its turn.
	got, err := r.ask(ctx, most, true)
	if len(got) == 0 && err == nil && r.pending {
		got, err = r.ask(ctx, 1, false)
	}
	r.end()
	return got, err
}

// A request is one question for frames at a time.
type request struct {
	s       *holder
	q       *queue
	sub     *nats.Subscription
	left    int  // how many frames may still come; 0 when it has ended
	pending bool // it was refused, because others wait
}

// ask sends a request and waits for its frames. It returns nothing without an
// error when there was nothing, and an error when another request is not worth
// sending at once.
//
// A request ends at the server when ctx does, so that nothing is on its way then
// to who does not wait any more.
func (r *request) ask(ctx context.Context, most int, oneShot bool) (got []store.Lease, err error) {
	expires := pullWait
	if end, ok := ctx.Deadline(); ok {
		expires = max(min(expires, time.Until(end)), time.Millisecond)
	}
	body := fmt.Sprintf(`{"batch":%d,"expires":%d,"no_wait":%v`, most, expires.Nanoseconds(), oneShot)
	silence := expires + pullBeat
	if expires > 2*pullBeat {
		body += fmt.Sprintf(`,"idle_heartbeat":%d`, pullBeat.Nanoseconds())
		silence = 2 * pullBeat
	}
	inbox := strings.TrimSuffix(r.sub.Subject, "*") + "r"
	if err := r.s.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+r.q.stream+"."+consumer, inbox, []byte(body+"}")); err != nil {
		return nil, fmt.Errorf("ask for frames: %w", err)
	}
	r.left, r.pending = most, false
	for r.left > 0 {
		heard, cancel := r.s.within(ctx, silence)
		msg, err := r.sub.NextMsgWithContext(heard)
		cancel()
		if err != nil {
			if ctx.Err() != nil || r.s.ctx.Err() != nil {
				return got, nil
			}
			return got, fmt.Errorf("wait for frames: %w", err)
		}
		l, status := r.receive(msg)
		switch {
		case l != nil:
			got = append(got, l)
		case strings.HasPrefix(status, "408 Requests Pending"):
			r.pending = true
		case status != "" && !strings.HasPrefix(status, "404") && !strings.HasPrefix(status, "408"):
			return got, fmt.Errorf("ask for frames: the server answers %s", status)
		}
	}
	return got, nil
}

// receive is what came for the request: a frame, if it is to be handed out, or
// how the server ended it.
func (r *request) receive(msg *nats.Msg) (l store.Lease, status string) {
	if status = msg.Header.Get("Status"); len(msg.Data) > 0 || status == "" {
		r.left--
		return r.s.arrive(r.q, msg), ""
	}
	if status == "100" { // it is still open
		return nil, ""
	}
	r.left = 0
	return nil, status + " " + msg.Header.Get("Description")
}

// end leaves the subscription to the next request or, if more may come, sees to
// that.
func (r *request) end() {
	r.q.mu.Lock()
	reuse := r.left == 0 && len(r.q.idle) < maxIdle
	if reuse {
		r.q.idle = append(r.q.idle, r.sub)
	}
	r.q.mu.Unlock()
	if reuse {
		return
	}
	r.s.mu.Lock()
	closed := r.s.closed
	if !closed { // Close waits for those that began before
		r.s.strays.Go(r.strand)
	}
	r.s.mu.Unlock()
	if closed {
		r.strand()
	}
}

// strand gives back what still comes for a request that nobody waits for, until
// the server has ended it. Were the subscription ended at once, a frame that is
// on its way between two servers would be lost until its lease lapses.
func (r *request) strand() {
	ctx, cancel := r.s.within(context.Background(), pullWait+pullBeat)
	defer cancel()
	for r.left > 0 {
		msg, err := r.sub.NextMsgWithContext(ctx)
		if err != nil {
			break
		}
		r.refuse(msg)
	}
	if r.sub.Drain() != nil {
		return // the connection is closed: what comes lapses
	}
	last, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	for {
		msg, err := r.sub.NextMsgWithContext(last)
		if err != nil {
			return // it has ended
		}
		r.refuse(msg)
	}
}

// refuse gives back what came.
func (r *request) refuse(msg *nats.Msg) {
	l, _ := r.receive(msg)
	if l == nil {
		return
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.giveBack(l.(*lease), 0)
}

// subscription is one for the answers to requests.
func (s *holder) subscription(q *queue) (*nats.Subscription, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.idle); n > 0 {
		sub := q.idle[n-1]
		q.idle = q.idle[:n-1]
		return sub, nil
	}
	sub, err := s.nc.SubscribeSync(nats.NewInbox() + ".*")
	if err != nil {
		return nil, fmt.Errorf("ask for frames: %w", err)
	}
	// What may come is bounded by what was asked for, and a slow reader must
	// not lose a frame.
	if err := sub.SetPendingLimits(maxWaiting, maxWaiting*2*store.MaxFrame); err != nil {
		return nil, errors.Join(fmt.Errorf("ask for frames: %w", err), sub.Unsubscribe())
	}
	return sub, nil
}
