package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner/worker"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/cluster"
	"github.com/recap/pumpkin/internal/store/folder"
)

// An opened store with what belongs to it.
type opened struct {
	store    store.Store
	blobs    store.Blobs
	cluster  *cluster.Store // where all nodes share one store; else nil
	node     string         // the node's name
	note     string         // a line about it
	dir      string         // the data folder; "" in memory
	setAside func(store.Queue, uint64, []byte) error
	// adopt, unless nil, takes over what other nodes have left, until ctx
	// ends, and calls arrived after some came. adopted is set if some of it
	// was damaged.
	adopt   func(ctx context.Context, arrived func())
	adopted *atomic.Bool
	backup  backupFunc
	// guard holds back what is stored in a data folder that is a copy, and data names the
	// folder, the same in each copy; nil and "" in memory.
	guard *guard
	data  string
	lost  <-chan struct{} // closed when another process has taken the data folder; nil is never
	close func() error
}

// trouble says what the user has to see to when a node has ended whose store
// was like that; its error only stands for the exit status.
func (o *opened) trouble(st node.StoreStatus, log *slog.Logger) error {
	if o.dir == "" {
		return nil // nothing of it is left
	}
	select {
	case <-o.lost:
		log.Error(fmt.Sprintf("the node ended at once: %v (%s); give each node a folder of its own with --data DIR, on a local disk", folder.ErrTaken, o.dir))
		return errStore
	default:
	}
	var err error
	if st.Error != "" {
		err = errStore
		log.Error(fmt.Sprintf("the node ended while its store in %s could not be written: %s; what it had accepted is there: repair or free the disk, then start the node again", o.dir, st.Error))
	}
	if len(st.Damage) > 0 {
		err = errStore
		log.Error(fmt.Sprintf("the store in %s is damaged: 'pmk store check %s' says what, and 'pmk store export %s --to DIR' saves what can be read", o.dir, o.dir, o.dir))
	}
	if o.adopted.Load() {
		err = errStore // the folder was named
	}
	return err
}

// snapshots is where the files of seeds are copied that run, and forget ends that. Those of
// an earlier start are of no use any more.
func (o *opened) snapshots() (dir string, forget func() error, err error) {
	if o.dir == "" {
		if dir, forget, err = worker.Folder(); err != nil {
			err = fmt.Errorf("a folder for the files of seeds: %w", err)
		}
		return dir, forget, err
	}
	dir = filepath.Join(o.dir, folder.SeedsDir)
	return dir, func() error { return nil }, os.RemoveAll(dir)
}
