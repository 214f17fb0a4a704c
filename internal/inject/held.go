package inject

import (
	"context"
	"errors"
	"time"

	"github.com/recap/pumpkin/internal/hold"
)

// holdEvery is how often is looked whether a folder of another node is free.
const holdEvery = 10 * time.Second

// whileHeld runs do while the folder is this node's, until ctx ends or do fails: on a
// share two machines would both take a file, since a lock tells of this machine alone.
func (f *tree) whileHeld(ctx context.Context, do func(context.Context) error) error {
	reported := ""
	for ctx.Err() == nil {
		claim, err := hold.Take(ctx, f.cfg.Dir, nil)
		if err != nil {
			if why := err.Error(); reported != why && ctx.Err() == nil {
				reported = why
				f.reportNotHeld(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(holdEvery):
			}
			continue
		}
		if reported != "" {
			reported = ""
			f.cfg.Log.Info("this node takes the files of the rx folder now", "folder", f.cfg.Dir)
		}
		held, end := context.WithCancel(ctx)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			select {
			case <-claim.Lost():
			case <-held.Done():
			}
			end()
		}()
		err = do(held)
		end()
		<-stop
		if err = errors.Join(err, claim.Release()); err != nil {
			return err
		}
	}
	return nil
}

// reportNotHeld says why no file is taken, and what to do.
func (f *tree) reportNotHeld(err error) {
	if used := (*hold.UsedError)(nil); errors.As(err, &used) {
		f.cfg.Log.Warn("another node takes the files of the rx folder, and this one does when that has ended; give each machine a folder of its own to have both take files",
			"folder", f.cfg.Dir, "holder", used.Who())
		return
	}
	f.cfg.Log.Warn("the rx folder cannot be reserved for this node, and no file is taken until it can", "folder", f.cfg.Dir, "error", err)
}
