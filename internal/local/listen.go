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
	"syscall"
	"time"

	"github.com/recap/pumpkin/packet"
)

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
		return nil, fmt.Errorf("a node %s of group %s runs on this machine already: a node has its name from its data folder, and this one is a copy: start it with an empty folder, --data DIR", node, group)
	}
	if err != nil {
		return nil, fmt.Errorf("open the socket of node %s: %w", node, err)
	}
	return l, nil
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
