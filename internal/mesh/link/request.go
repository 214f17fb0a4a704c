package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/recap/pumpkin/internal/mesh"
)

// request makes a request between nodes. body may be nil.
func (p *Peer) request(ctx context.Context, method, path string, query url.Values) *http.Request {
	req := &http.Request{
		Method: method,
		URL:    &url.URL{Scheme: "https", Host: host, Path: path, RawQuery: query.Encode()},
		Header: http.Header{headerHello: {p.me}},
	}
	if p.session != "" {
		req.Header.Set(headerSession, p.session)
	}
	return req.WithContext(ctx)
}

// do sends a request of the session, and gives the answer if it is a success.
// The error says what was done. body may be nil.
func (p *Peer) do(req *http.Request, what string) (*http.Response, error) {
	if p.ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", what, mesh.ErrGone)
	}
	resp, err := p.conn.RoundTrip(req)
	if err == nil && resp.StatusCode/100 != 2 {
		err = answerError(resp)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, p.reason(req.Context(), err))
	}
	return resp, nil
}

// reason is what an error of a request means: that the caller gave up, that the
// node is gone, or what it says.
func (p *Peer) reason(ctx context.Context, err error) error {
	_, told := err.(*remoteError)
	switch {
	case p.ctx.Err() != nil:
		return mesh.ErrGone
	case ctx.Err() != nil:
		return ctx.Err()
	case p.conn.Err() != nil || errors.Is(err, errSession):
		p.end(err)
		return mesh.ErrGone
	case !told:
		return fmt.Errorf("%s: %w", p.At(), err)
	}
	return err
}

// RoundTrip asks the node's HTTP interface.
func (p *Peer) RoundTrip(req *http.Request) (*http.Response, error) {
	if p.ctx.Err() != nil {
		if req.Body != nil {
			req.Body.Close() // as every RoundTripper does
		}
		return nil, fmt.Errorf("ask node %s: %w", p.Card().Node, mesh.ErrGone)
	}
	there := req.Clone(req.Context())
	there.URL.Scheme, there.URL.Host, there.Host = "https", host, ""
	resp, err := p.conn.RoundTrip(there)
	if err != nil {
		return nil, fmt.Errorf("ask node %s: %w", p.Card().Node, p.reason(req.Context(), err))
	}
	resp.Request = req
	return resp, nil
}

// A lent is a body that the caller gets back: when end has returned, nobody
// reads it any more.
type lent struct {
	mu    sync.Mutex
	r     io.Reader
	ended bool
}

func (l *lent) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return 0, io.ErrClosedPipe
	}
	return l.r.Read(p)
}

// Close does nothing: the body is the caller's.
func (l *lent) Close() error { return nil }

func (l *lent) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
}
