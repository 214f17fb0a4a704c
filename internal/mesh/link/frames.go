package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
)

// streamBuffer is how much of an answer is gathered before it is sent.
const streamBuffer = 64 << 10

// writers keeps buffers between the sessions that use them.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, streamBuffer) }}

// frames serves the stream of frames of a session. With the stream the session
// ends, since nobody could say any more under it what became of its leases.
func frames(s *session, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	second := s.stream
	s.stream = true
	s.mu.Unlock()
	if second {
		refuse(w, fmt.Errorf("%w: %w", errBad, errStream))
		return
	}
	defer s.cancel()

	st := &stream{session: s, out: newPatient(w), news: make(chan struct{}, 1)}
	st.pulls.Go(st.confirm)
	in := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.WriteHeader(http.StatusOK)
	err := st.out.Flush()
	if err == nil {
		// Reading fails when the session ends. The answer must not be touched
		// once this function has returned.
		cut := make(chan struct{})
		stop := context.AfterFunc(r.Context(), func() {
			defer close(cut)
			in.SetReadDeadline(time.Unix(1, 0)) // fails where reading does anyway
		})
		err = st.serve(bufio.NewReaderSize(r.Body, 4<<10))
		if !stop() {
			<-cut
		}
	}
	if err != nil && s.ctx.Err() == nil && r.Context().Err() == nil {
		s.complain("serve frames", err)
	}
	s.cancel()
	st.pulls.Wait()
}

// A stream answers the pulls of a session.
type stream struct {
	session *session
	pulls   sync.WaitGroup // at most maxPulls, and confirm
	open    chan struct{}

	verdicts atomic.Uint64 // that have come
	news     chan struct{} // has an element when there are more

	mu  sync.Mutex // over writing
	out *patient
}

// serve takes messages until the stream ends.
func (st *stream) serve(r *bufio.Reader) error {
	s := st.session
	st.open = make(chan struct{}, maxPulls)
	for {
		m, err := readMessage(r)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch m.kind {
		case msgCancel:
			s.void(m.pull)
		case msgAck, msgRelease, msgSpoil:
			s.decide(m)
			st.verdicts.Add(1)
			select {
			case st.news <- struct{}{}:
			default:
			}
		case msgResume:
			frames, err := readRefs(r, m.most)
			if err != nil {
				return err
			}
			if err := st.resume(m.pull, frames); err != nil {
				return err
			}
		case msgLeave:
			s.store.Leave()
		case msgPull:
			select {
			case st.open <- struct{}{}:
			default:
				return fmt.Errorf("more than %d pulls are open", maxPulls)
			}
			ctx, p, err := s.begin(m)
			st.pulls.Go(func() {
				defer func() { <-st.open }()
				if err == nil {
					err = st.pull(ctx, p, m)
					p.cancel()
				}
				if err == nil || s.ctx.Err() != nil {
					return
				}
				// What cannot be written ends the session.
				if err := st.write(func(w *bufio.Writer) error { return writeFailed(w, m.pull, failure(err)) }); err != nil {
					s.cancel()
				}
			})
		}
	}
}

// resume takes up leases of earlier streams.
func (st *stream) resume(id uint64, frames []store.Ref) error {
	lapsed, err := st.session.resume(st.session.ctx, id, frames)
	if err != nil {
		return fmt.Errorf("resume %d leases: %w", len(frames), err)
	}
	return st.write(func(w *bufio.Writer) error { return writeResumed(w, id, lapsed) })
}

// confirm tells the puller how many of its verdicts have come, until the session
// ends: what it has not heard of it says again over the next stream.
func (st *stream) confirm() {
	ctx := st.session.ctx
	for {
		select {
		case <-st.news:
		case <-ctx.Done():
			return
		}
		if !pause.For(ctx, takenPause) {
			return
		}
		if err := st.write(func(w *bufio.Writer) error { return writeTaken(w, st.verdicts.Load()) }); err != nil {
			st.session.cancel()
			return
		}
	}
}

// pull waits for frames and sends them. An error is for the puller.
func (st *stream) pull(ctx context.Context, p *pull, m message) error {
	s := st.session
	leases, err := s.store.Pull(ctx, m.place, int(m.most))
	// The table's own list changes as leases are decided.
	if entered, refused := s.enter(m.pull, p, slices.Clone(leases)); !entered {
		s.giveBack(leases)
		return refused // nil when nobody waits for an answer
	}
	if err != nil {
		if s.ctx.Err() != nil {
			return errSession
		}
		return err
	}
	if len(leases) == 0 || len(leases) > int(m.most) {
		s.void(m.pull)
		return errors.New("the store gave another number of frames than was asked for")
	}
	if err := st.write(func(w *bufio.Writer) error { return writeFrames(w, m.pull, leases) }); err != nil {
		s.cancel()
	}
	return nil
}

// write writes one message.
func (st *stream) write(do func(*bufio.Writer) error) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	w := writers.Get().(*bufio.Writer)
	w.Reset(st.out)
	err := do(w)
	w.Reset(nil)
	writers.Put(w)
	if err != nil {
		return err
	}
	return st.out.Flush()
}
