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

// ErrNone says that no such node runs on this machine for this user.
var ErrNone = errors.New("no node runs here")

// dialTime is how long a connection to a socket of this machine may take.
const dialTime = 2 * time.Second

// A Peer is a node of this user that runs on this machine.
type Peer struct {
	// Node is its name.
	Node string
	// Path is where its socket is.
	Path string
}

// Dial connects to the node. An error that is [ErrNone] says that it has ended
// meanwhile.
func (p Peer) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := dial(ctx, p.Path)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("node %s has ended: %w", p.Node, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to node %s: %w", p.Node, err)
	}
	return conn, nil
}

// Find lists the live nodes of the group, by name; with node given, that one
// alone. An error that is [ErrNone] says that there is none, where was looked,
// and which others there are.
func Find(ctx context.Context, group, node string) ([]Peer, error) {
	if err := packet.CheckName("group", group); err != nil {
		return nil, err
	}
	dir := base(os.Getenv("XDG_RUNTIME_DIR"), "/tmp", os.Getuid())
	for _, e := range []string{"", group, meet} {
		dir = filepath.Join(dir, e)
		err := checkPrivate(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("group %s: %w (there is no folder %s)", group, ErrNone, dir)
		}
		if err != nil {
			return nil, err
		}
	}
	live, err := living(ctx, dir)
	if err != nil {
		return nil, err
	}
	if len(live) == 0 {
		return nil, fmt.Errorf("group %s: %w (no live socket in %s)", group, ErrNone, dir)
	}
	if node == "" {
		return live, nil
	}
	var others []string
	for _, p := range live {
		if p.Node == node {
			return []Peer{p}, nil
		}
		others = append(others, p.Node)
	}
	return nil, fmt.Errorf("node %s of group %s: %w; running: %s", node, group, ErrNone, strings.Join(others, ", "))
}

// living lists who listens in dir.
func living(ctx context.Context, dir string) ([]Peer, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("list the nodes in %s: %w", dir, err)
	}
	var live []Peer
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || e.Type() != fs.ModeSocket || strings.HasPrefix(name, ".") {
			continue
		}
		p := Peer{Node: name, Path: filepath.Join(dir, e.Name())}
		conn, err := p.Dial(ctx)
		switch {
		case err == nil:
			conn.Close() // it was only a look
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ErrNone):
			continue
		}
		// Any other failure (a queue that is full) is a living node's, and
		// is for whoever then wants to talk to it.
		live = append(live, p)
	}
	return live, nil
}

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
