package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
)

const (
	// followPause is how long a node is left alone whose events ended.
	followPause = time.Second
	// followQuiet is how long the events of a node may be silent.
	followQuiet = 3 * statusTime
	// maxEvent is the most bytes of one event of a node.
	maxEvent = 64 << 20
)

// A follower knows what another node does.
type follower struct {
	net  *network
	peer mesh.Peer
	stop context.CancelFunc

	mu       sync.Mutex
	member   Member
	known    bool
	answered chan struct{} // closed when member is known
}

// look is what the node does; false means that it has said nothing so far.
func (f *follower) look() (Member, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.member, f.known
}

func (f *follower) set(m Member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.member = m; !f.known {
		f.known = true
		close(f.answered)
	}
}

// run follows the node until ctx ends. Nodes that meet in a cluster answer one
// question at a time: there is no stream.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if f.peer.Store() == nil || f.follow(ctx) != nil && ctx.Err() == nil {
			f.set(f.net.member(ctx, f.peer))
		}
		select {
		case <-time.After(followPause):
		case <-f.peer.Gone():
			return
		case <-ctx.Done():
		}
	}
}

// follow reads the node's events until they end.
func (f *follower) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(followQuiet, cancel)
	defer quiet.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node/api/v1/events", nil)
	if err != nil {
		return err
	}
	resp, err := f.peer.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the node answered %s", resp.Status)
	}
	return readEvents(bufio.NewScanner(resp.Body), func(event string, data []byte) error {
		quiet.Reset(followQuiet)
		var st node.Status
		if event != statusEvent {
			return nil
		} else if err := json.Unmarshal(data, &st); err != nil {
			return err
		}
		f.set(f.net.answered(f.peer, st))
		return nil
	})
}

var errStreamEnded = errors.New("the events have ended")

// readEvents gives server-sent events to take, whose data is one line each.
func readEvents(lines *bufio.Scanner, take func(event string, data []byte) error) error {
	lines.Buffer(nil, maxEvent)
	event := ""
	for lines.Scan() {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(name) {
		case "event":
			event = string(value)
		case "data":
			if err := take(event, value); err != nil {
				return err
			}
		}
	}
	return errors.Join(errStreamEnded, lines.Err())
}
