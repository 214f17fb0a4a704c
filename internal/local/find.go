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

	"github.com/recap/pumpkin/packet"
)

// ErrNone says that no such node runs on this machine for this user.
var ErrNone = errors.New("no node runs here")

// A Peer is a node of this user that runs on this machine.
type Peer struct {
	// Node is its name.
	Node string
	// Path is where its socket is.
	Path string
	// Meet is the folder that it is in: nodes of one folder are of one network.
	Meet string
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

// Find lists the live nodes of the group, with a key or without, those without
// first and by name; with node given, that one alone. An error that is [ErrNone]
// says that there is none, where was looked, and which others there are.
func Find(ctx context.Context, group, node string) ([]Peer, error) {
	first, err := FindIn(ctx, group, Meet, node)
	if err != nil && !errors.Is(err, ErrNone) || err == nil && node != "" {
		return first, err
	}
	dir := filepath.Join(base(os.Getenv("XDG_RUNTIME_DIR"), "/tmp", os.Getuid()), group)
	entries, readErr := os.ReadDir(dir)
	if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for nodes of the group %s: %w", group, readErr)
	}
	for _, e := range entries {
		if e.Name() == Meet || !e.IsDir() || packet.CheckName("folder", e.Name()) != nil {
			continue
		}
		found, otherErr := FindIn(ctx, group, e.Name(), node)
		switch {
		case errors.Is(otherErr, ErrNone):
		case otherErr != nil:
			return nil, otherErr
		default:
			first = append(first, found...)
		}
	}
	if len(first) > 0 {
		return first, nil
	}
	return nil, err
}

// Groups are the names of the groups of which nodes of this user run on this machine.
func Groups(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(base(os.Getenv("XDG_RUNTIME_DIR"), "/tmp", os.Getuid())) // sorted
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for groups: %w", err)
	}
	var groups []string
	for _, e := range entries {
		if !e.IsDir() || packet.CheckName("group", e.Name()) != nil {
			continue
		}
		switch _, err := Find(ctx, e.Name(), ""); {
		case err == nil:
			groups = append(groups, e.Name())
		case !errors.Is(err, ErrNone):
			return groups, err
		}
	}
	return groups, nil
}

// FindIn lists live nodes as [Find] does, in the folder of that name below the
// group's alone.
func FindIn(ctx context.Context, group, meet, node string) ([]Peer, error) {
	if err := checkFolder(group, meet); err != nil {
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
	for i := range live {
		live[i].Meet = meet
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
	peers, err := Sockets(dir)
	if err != nil {
		return nil, err
	}
	var live []Peer
	for _, p := range peers {
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

// Sockets lists the sockets in a [Folder], by the names of their nodes, whether
// or not somebody listens on them.
func Sockets(dir string) ([]Peer, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("list the nodes in %s: %w", dir, err)
	}
	var peers []Peer
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || e.Type() != fs.ModeSocket || strings.HasPrefix(name, ".") {
			continue
		}
		peers = append(peers, Peer{Node: name, Path: filepath.Join(dir, e.Name())})
	}
	return peers, nil
}
