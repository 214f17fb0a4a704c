package meshtest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// A Network is one in memory: a write waits until it is read. It is safe for
// concurrent use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	port      uint16
}

// NewNetwork makes a network without nodes.
func NewNetwork() *Network { return &Network{listeners: map[string]*listener{}} }

// Listen opens an address.
func (n *Network) Listen(addr netip.AddrPort) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr.String()] != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, syscall.EADDRINUSE)
	}
	l := &listener{network: n, addr: net.TCPAddrFromAddrPort(addr), conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[addr.String()] = l
	return l, nil
}

// Dialer gives what reaches the network from an address.
func (n *Network) Dialer(from netip.Addr) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		n.mu.Lock()
		l := n.listeners[address]
		n.port++
		here := net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, n.port))
		n.mu.Unlock()
		if l == nil {
			return nil, fmt.Errorf("dial %s: %w", address, syscall.ECONNREFUSED)
		}
		near, far := net.Pipe()
		select {
		case l.conns <- &conn{far, l.addr, here}:
			return &conn{near, here, l.addr}, nil
		case <-l.closed:
			return nil, fmt.Errorf("dial %s: %w", address, syscall.ECONNREFUSED)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A listener is an address that is open.
type listener struct {
	network *Network
	addr    net.Addr
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		delete(l.network.listeners, l.addr.String())
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// A conn is one end of a connection.
type conn struct {
	net.Conn
	local, remote net.Addr
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }
