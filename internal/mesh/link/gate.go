package link

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// handshakeTime is how long a connection has to show that it belongs.
	handshakeTime = 5 * time.Second
	// maxStrangers is how many connections may be about to show it. The oldest
	// goes when there is another: an honest one takes milliseconds.
	maxStrangers = 128
)

// A Gate lets connections in that pass the TLS handshake. The zero value is
// ready. It is safe for concurrent use.
type Gate struct {
	mu        sync.Mutex
	counts    GateCounts
	strangers list.List // of net.Conn, oldest first
}

// GateCounts are what became of connections.
type GateCounts struct {
	// Passed the handshake; Failed it; and were Displaced by newer ones or were
	// too slow.
	Passed, Failed, Displaced int64
}

// Counts gives the counts so far.
func (g *Gate) Counts() GateCounts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}

// listen lets through what passes.
func (g *Gate) listen(l net.Listener, secure *tls.Config) net.Listener {
	secure = secure.Clone()
	if !slices.Contains(secure.NextProtos, "h2") {
		secure.NextProtos = []string{"h2"}
	}
	ctx, cancel := context.WithCancel(context.Background())
	gl := &gateListener{Listener: l, gate: g, secure: secure, ctx: ctx, cancel: cancel, passed: make(chan net.Conn), failed: make(chan error, 1)}
	gl.under.Go(gl.accept)
	return gl
}

// A gateListener gives connections that have passed.
type gateListener struct {
	net.Listener
	gate   *Gate
	secure *tls.Config
	ctx    context.Context
	cancel context.CancelFunc
	passed chan net.Conn
	failed chan error
	under  sync.WaitGroup // accept, and at most some more than maxStrangers
}

// Accept returns the next connection that has passed.
func (l *gateListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.passed:
		return conn, nil
	case err := <-l.failed:
		l.failed <- err
		return nil, err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends Accept, and waits until no connection is looked at any more.
func (l *gateListener) Close() error {
	err := l.Listener.Close()
	l.cancel()
	l.under.Wait()
	return err
}

func (l *gateListener) accept() {
	var pause time.Duration
	for {
		conn, err := l.Listener.Accept()
		if temporary, ok := err.(interface{ Temporary() bool }); ok && temporary.Temporary() && l.ctx.Err() == nil {
			// No descriptors are left, for instance: as net/http does.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-l.ctx.Done():
			}
			continue
		}
		if err != nil {
			l.failed <- err
			return
		}
		pause = 0
		place := l.gate.enter(conn)
		l.under.Go(func() { l.handshake(conn, place) })
	}
}

func (l *gateListener) handshake(conn net.Conn, place *list.Element) {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTime)
	defer cancel()
	secure := tls.Server(conn, l.secure)
	err := secure.HandshakeContext(ctx)
	passed := err == nil && secure.ConnectionState().NegotiatedProtocol == "h2"
	l.gate.leave(place, passed, ctx.Err() != nil)
	if passed {
		select {
		case l.passed <- secure:
			return
		case <-l.ctx.Done():
		}
	}
	conn.Close() // it was not let in
}

// enter makes room for a connection.
func (g *Gate) enter(conn net.Conn) *list.Element {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.strangers.Len() >= maxStrangers {
		oldest := g.strangers.Front()
		g.strangers.Remove(oldest)
		oldest.Value.(net.Conn).Close()
		oldest.Value = nil // it is counted as displaced when it leaves
	}
	return g.strangers.PushBack(conn)
}

func (g *Gate) leave(place *list.Element, passed, slow bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	displaced := place.Value == nil
	if !displaced {
		g.strangers.Remove(place)
	}
	switch {
	case passed:
		g.counts.Passed++
	case displaced || slow:
		g.counts.Displaced++
	default:
		g.counts.Failed++
	}
}
