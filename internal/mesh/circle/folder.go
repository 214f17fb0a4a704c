package circle

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/mesh"
)

const (
	// folderPause is how long after the folder has changed it is looked
	// through, so that what changes at a time is seen at a time.
	folderPause = 10 * time.Millisecond
	// folderPeriod is how often it is looked through in any case.
	folderPeriod = 2 * time.Second
)

// watchFolder keeps the sockets in the folder candidates, until ctx ends.
func (c *Circle) watchFolder(ctx context.Context) {
	watch, err := fsnotify.NewWatcher()
	if err == nil {
		defer watch.Close()
		err = watch.Add(c.cfg.Folder)
	}
	var events chan fsnotify.Event
	var errs chan error
	if err != nil {
		// Looking is enough, if slower.
		c.log.Warn("the folder where nodes meet cannot be watched; the node searches it every 2 s", "folder", c.cfg.Folder, "error", err)
	} else {
		events, errs = watch.Events, watch.Errors
	}
	wait := time.NewTimer(0)
	defer wait.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			wait.Reset(folderPause)
		case _, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			wait.Reset(folderPause) // events were lost, for instance
		case <-wait.C:
			peers, err := local.Sockets(c.cfg.Folder)
			if err != nil && !failed {
				c.log.Warn("cannot look for nodes of this machine", "error", err)
			}
			if failed = err != nil; !failed {
				c.seeSockets(peers)
			}
			wait.Reset(c.folderPeriod)
		}
	}
}

// seeSockets takes the sockets that are there, and forgets those that are not.
func (c *Circle) seeSockets(peers []local.Peer) {
	there := map[string]bool{}
	for _, p := range peers {
		if p.Node == c.me.Node {
			continue
		}
		cand := &candidate{kind: socket, by: mesh.ByFolder, addr: p.Path, node: p.Node}
		there[cand.key()] = true
		if len(there) > maxCandidates/2 {
			break
		}
		c.consider(cand)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, cand := range c.candidates {
		if cand.kind == socket && !there[key] {
			c.drop(cand)
		}
	}
}
