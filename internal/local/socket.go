package local

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/recap/pumpkin/packet"
)

// dialTime is how long a connection to a socket of this machine may take.
const dialTime = 2 * time.Second

// dial connects to the socket at path and refuses another user's.
func dial(ctx context.Context, path string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTime}
	var conn net.Conn
	err := shorten(path, func(short string) (err error) {
		conn, err = d.DialContext(ctx, "unix", short)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn.(*net.UnixConn)); err != nil {
		conn.Close() // the refusal is the error that counts
		return nil, err
	}
	return conn, nil
}

// suffix ends the name of a socket; what stands before it is the node's.
const suffix = ".sock"

// listen binds a socket under a hidden name and gives it its own once it is
// listening: so a socket that can be seen and refuses connections is a dead
// node's, and never one that is just starting.
func listen(dir, node string) (*listener, error) {
	// Hidden names are short: they must fit where the own name fits.
	birth := filepath.Join(dir, "."+packet.NewID().String()[:8])
	var ul *net.UnixListener
	err := shorten(birth, func(path string) (err error) {
		ul, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	ul.SetUnlinkOnClose(false) // the name changes, and may be short for the moment only
	defer os.Remove(birth)     // by then it has its own name, or has failed

	l := &listener{UnixListener: ul, path: filepath.Join(dir, node+suffix)}
	err = os.Chmod(birth, 0o600)
	if err == nil {
		l.info, err = os.Lstat(birth)
	}
	if err == nil {
		err = shorten(l.path, func(string) error { return nil }) // whoever connects has to fit it
	}
	if err == nil {
		err = os.Link(birth, l.path) // fails where the name is taken, as Rename does not
	}
	if err != nil {
		return nil, errors.Join(err, ul.Close())
	}
	return l, nil
}

// A listener is a node's own socket.
type listener struct {
	*net.UnixListener
	path string
	info fs.FileInfo // of the socket, to know it again

	once sync.Once
	err  error
}

// Accept returns the next connection of this user.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if checkPeer(conn) == nil {
			return conn, nil
		}
		conn.Close() // it was not ours to fail
	}
}

// Addr is the socket's path.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close removes the socket, unless it is another's by now, and ends Accept.
func (l *listener) Close() error {
	l.once.Do(func() {
		var gone error
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
			gone = os.Remove(l.path)
		}
		l.err = errors.Join(gone, l.UnixListener.Close())
	})
	return l.err
}
