package local

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// lookTime is how often a node looks whether its socket is still there.
const lookTime = 10 * time.Second

// A lasting listener opens its socket again when somebody has taken it away, as what
// cleans temporary folders does after some days: the node could not be reached any more.
type lasting struct {
	open func() (*listener, error)
	stop chan struct{}
	over sync.WaitGroup
	once sync.Once

	mu  sync.Mutex
	now *listener
}

func newLasting(open func() (*listener, error), every time.Duration) (*lasting, error) {
	first, err := open()
	if err != nil {
		return nil, err
	}
	l := &lasting{open: open, stop: make(chan struct{}), now: first}
	l.over.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.look()
			case <-l.stop:
				return
			}
		}
	})
	return l, nil
}

// look opens the socket again if it is gone. What keeps it from that may be over at the next look.
func (l *lasting) look() {
	old := l.current()
	if _, err := os.Lstat(old.path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	fresh, err := l.open()
	if err != nil {
		return
	}
	l.mu.Lock()
	l.now = fresh
	l.mu.Unlock()
	old.Close() // nobody can find it
}

func (l *lasting) current() *listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// Accept returns the next connection of this user.
func (l *lasting) Accept() (net.Conn, error) {
	for {
		from := l.current()
		conn, err := from.Accept()
		if err == nil || from == l.current() {
			return conn, err
		}
	}
}

// Addr is the socket's path.
func (l *lasting) Addr() net.Addr { return l.current().Addr() }

// Close ends the socket and waits for that.
func (l *lasting) Close() error {
	l.once.Do(func() { close(l.stop) })
	l.over.Wait()
	return l.current().Close()
}
