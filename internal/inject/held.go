package inject

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/hold"
)

// holdEvery is how often is looked whether a folder of another node is free.
const holdEvery = 10 * time.Second

// whileHeld runs do while the folder is this node's, until ctx ends or do fails: on a
// share two machines would both take a file, since a lock tells of this machine alone.
func (f *Folder) whileHeld(ctx context.Context, do func(context.Context) error) error {
	told := ""
	for ctx.Err() == nil {
		claim, err := hold.Take(ctx, f.cfg.Dir, nil)
		if err != nil {
			if why := f.notHeld(err); told != why && ctx.Err() == nil {
				told = why
				f.cfg.Log.Warn(why)
			}
			select {
			case <-ctx.Done():
			case <-time.After(holdEvery):
			}
			continue
		}
		if told != "" {
			told = ""
			f.cfg.Log.Info("this node takes the files of the rx folder " + f.cfg.Dir + " now")
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

// notHeld says why no file is taken, and what to do.
func (f *Folder) notHeld(err error) string {
	if used := (*hold.UsedError)(nil); errors.As(err, &used) {
		return fmt.Sprintf("the files of the rx folder %s are taken by %s: this node takes them when that has ended; give each machine a folder of its own to have both take files", f.cfg.Dir, used.Who())
	}
	return fmt.Sprintf("the rx folder %s cannot be kept from other machines, and no file is taken until it can: %v", f.cfg.Dir, err)
}
