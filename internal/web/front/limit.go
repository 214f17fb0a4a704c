package front

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// limit is l with at most that many connections at a time. When another comes, the oldest
// over which no token was shown goes, so that whoever opens many shuts nobody else out.
// Those that have shown one stay; some places are never theirs.
func limit(l net.Listener, most, strangers int) *limited {
	return &limited{Listener: l, most: most, strangers: strangers}
}

type limited struct {
	net.Listener
	most      int
	strangers int // of these, those that are not for the known

	mu      sync.Mutex
	known   int
	unknown list.List // of *placed, oldest first
}

func (l *limited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known+l.unknown.Len() >= l.most {
		l.unknown.Remove(l.unknown.Front()).(*placed).Conn.Close() // its server notices
	}
	c := &placed{Conn: conn, limited: l}
	c.place = l.unknown.PushBack(c)
	return c, nil
}

// A placed connection has one of the places.
type placed struct {
	net.Conn
	limited *limited

	// These are under the lock of limited.
	place  *list.Element // among the unknown; nil for one that is known
	closed bool
}

// know gives the connection a place for good, if there is one: a token was shown over it.
func (c *placed) know() {
	l := c.limited
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.place == nil || c.closed || l.known >= l.most-l.strangers {
		return
	}
	l.unknown.Remove(c.place)
	c.place = nil
	l.known++
}

func (c *placed) Close() error {
	c.leave()
	return c.Conn.Close()
}

func (c *placed) leave() {
	l := c.limited
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.closed:
	case c.place != nil:
		l.unknown.Remove(c.place) // nothing, where it was displaced
	default:
		l.known--
	}
	c.closed = true
}

// connKey is what a request's connection has in its context.
type connKey struct{}

// withConn is ctx with the connection, for know.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// know keeps the connection of a request over which a token was shown.
func know(ctx context.Context) {
	if conn, ok := ctx.Value(connKey{}).(*placed); ok {
		conn.know()
	}
}
