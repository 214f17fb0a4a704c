package meshtest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Cable is a proxy that can be cut: then nothing goes through, and neither end
// is told, as when a cable is pulled.
type Cable struct {
	l    net.Listener
	mu   sync.Mutex
	cut  chan struct{} // closed when it is cut
	ends []net.Conn
	wg   sync.WaitGroup
	rate atomic.Int64 // bytes a second in each direction; 0 is without a bound
}

// NewCable leads to the address, over the loopback.
func NewCable(t testing.TB, network, address string) *Cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cable{l: l, cut: make(chan struct{})}
	c.wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // the test has ended
			}
			far, err := net.Dial(network, address)
			if err != nil {
				near.Close() // as a node that is not there
				continue
			}
			c.mu.Lock()
			c.ends = append(c.ends, near, far)
			c.mu.Unlock()
			c.wg.Go(func() { c.carry(near, far) })
			c.wg.Go(func() { c.carry(far, near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.Break()
		c.wg.Wait()
	})
	return c
}

// Addr is the near end.
func (c *Cable) Addr() net.Addr { return c.l.Addr() }

// Cut cuts the cable.
func (c *Cable) Cut() { close(c.cut) }

// Slow has the cable carry that many bytes a second in each direction.
func (c *Cable) Slow(rate int64) { c.rate.Store(rate) }

// Break closes all connections through it, as the death of a process does.
func (c *Cable) Break() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		end.Close()
	}
}

// carry carries bytes in one direction. After a cut it takes none.
func (c *Cable) carry(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-c.cut:
			return // with both ends open
		default:
		}
		if rate := c.rate.Load(); rate > 0 {
			select {
			case <-time.After(time.Duration(n) * time.Second / time.Duration(rate)):
			case <-c.cut:
				return
			}
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			if err == io.EOF {
				to.Close()
			}
			return
		}
	}
}
