package hub

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// maxAtDesk is how many requests are answered at a time.
const maxAtDesk = 16

// A desk answers what other nodes ask over HTTP.
type desk struct {
	api  http.Handler
	conn *nats.Conn
	log  *slog.Logger
	ctx  context.Context
	stop context.CancelFunc
	free chan struct{}

	mu     sync.Mutex
	closed bool
	under  sync.WaitGroup
}

func newDesk(api http.Handler, conn *nats.Conn, log *slog.Logger) *desk {
	if api == nil {
		api = http.NotFoundHandler()
	}
	ctx, stop := context.WithCancel(context.Background())
	return &desk{api: api, conn: conn, log: log, ctx: ctx, stop: stop, free: make(chan struct{}, maxAtDesk)}
}

// close refuses what comes, gives up what is under way, and waits for it.
func (d *desk) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.stop()
	d.under.Wait()
}

// take has a request answered, or refuses it when there are too many.
func (d *desk) take(msg *nats.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	select {
	case d.free <- struct{}{}:
	default:
		d.refuse(msg, "the node has too many requests at a time: try again")
		return
	}
	d.under.Go(func() {
		defer func() { <-d.free }()
		if err := d.answer(msg); err != nil {
			d.refuse(msg, err.Error())
		}
	})
}

// refuse says why there is no answer.
func (d *desk) refuse(msg *nats.Msg, why string) {
	no := nats.NewMsg(msg.Reply)
	no.Header.Set(headerError, why)
	if err := d.conn.PublishMsg(no); err != nil {
		d.log.Debug("refusing a request of another node", "error", err)
	}
}

// answer runs a request and sends what comes of it, in parts.
func (d *desk) answer(msg *nats.Msg) error {
	within := askTime
	if ms, err := strconv.ParseInt(msg.Header.Get(headerWithin), 10, 64); err == nil && ms > 0 {
		within = min(time.Duration(min(ms, maxAskTime.Milliseconds()))*time.Millisecond, maxAskTime)
	}
	ctx, cancel := context.WithTimeout(d.ctx, within)
	defer cancel()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(msg.Data)))
	if err != nil {
		return fmt.Errorf("the request cannot be read: %w", err)
	}
	rec := &recorder{header: http.Header{}}
	d.serve(rec, req.WithContext(ctx))
	if rec.err != nil {
		return rec.err
	}
	wire, err := rec.write()
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	size := int(min(partSize, d.conn.MaxPayload()-1<<10))
	of := (len(wire) + size - 1) / size
	for i := range of {
		part := nats.NewMsg(msg.Reply)
		part.Header.Set(headerPart, fmt.Sprintf("%d/%d", i+1, of))
		part.Data = wire[i*size : min((i+1)*size, len(wire))]
		if err := d.conn.PublishMsg(part); err != nil {
			return err
		}
	}
	return nil
}

// serve calls the handler; one that panics answers with an error, as in a
// server of the standard library.
func (d *desk) serve(rec *recorder, req *http.Request) {
	defer func() {
		if what := recover(); what != nil {
			if what != http.ErrAbortHandler {
				d.log.Error(fmt.Sprintf("answering %s %s: %v\n%s", req.Method, req.URL.Path, what, debug.Stack()))
			}
			rec.err = errors.New("the node could not answer")
		}
	}()
	d.api.ServeHTTP(rec, req)
}

// A recorder keeps what a handler answers, up to a bound.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	sent   http.Header // the header as it was with the status
	err    error
}

var _ http.ResponseWriter = (*recorder)(nil)

// Header is what will be the answer's.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader sets the status, once; what is informational is not passed on.
func (r *recorder) WriteHeader(status int) {
	if r.status != 0 || status < 200 {
		return
	}
	r.status, r.sent = status, r.header.Clone()
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if r.body.Len()+len(p) > 8<<20 {
		r.err = errors.New("the answer has more than 8 MiB, which is the most that goes over the cluster")
		return 0, r.err
	}
	return r.body.Write(p)
}

// write is the answer as it goes over the wire.
func (r *recorder) write() ([]byte, error) {
	r.WriteHeader(http.StatusOK)
	resp := http.Response{
		StatusCode: r.status, ProtoMajor: 1, ProtoMinor: 1, Header: r.sent,
		Body: io.NopCloser(&r.body), ContentLength: int64(r.body.Len()),
	}
	var wire bytes.Buffer
	err := resp.Write(&wire)
	return wire.Bytes(), err
}
