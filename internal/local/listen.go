package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/recap/pumpkin/packet"
)

// Meet is the folder, below a group's, of the nodes that have no key. Those with
// one meet in a folder with a name of their own.
const Meet = "local"

// suffix ends the name of a socket; what stands before it is the node's.
const suffix = ".sock"

// staleBirth is when a socket that was never given its name counts as left
// behind: by then its node is either listening or dead.
const staleBirth = time.Minute

// Listen opens the socket of the node of that name: mode 0600, gone after
// Close. Sockets of dead nodes are swept away on the way. A second node of the
// name is refused.
//
// A socket that somebody removes is opened again within some seconds.
//
// Connections of other users than this one and root are closed unseen. Some
// connections end at once without a word: somebody looked whether the node
// lives.
func Listen(group, node string) (net.Listener, error) { return ListenIn(group, Meet, node) }

// ListenIn opens the socket of a node as [Listen] does, in the folder of that name
// below the group's.
func ListenIn(group, meet, node string) (net.Listener, error) {
	if err := packet.CheckName("node", node); err != nil {
		return nil, err
	}
	l, err := newLasting(func() (*listener, error) {
		dir, err := Folder(group, meet)
		if err != nil {
			return nil, err
		}
		if err := sweep(dir); err != nil {
			return nil, fmt.Errorf("sweep %s: %w", dir, err)
		}
		return bind(dir, group, node)
	}, lookTime)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// bind opens the socket of a node in dir.
func bind(dir, group, node string) (*listener, error) {
	l, err := listen(dir, node)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("a node %s of group %s runs on this machine already: choose another name", node, group)
	}
	if err != nil {
		return nil, fmt.Errorf("open the socket of node %s: %w", node, err)
	}
	return l, nil
}

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

// sweep removes the sockets in dir that nobody listens on.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type() != fs.ModeSocket {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			if info, err := e.Info(); err != nil || time.Since(info.ModTime()) < staleBirth {
				continue
			}
		}
		conn, err := dial(context.Background(), path)
		if err == nil {
			conn.Close() // somebody lives there
			continue
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
