package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A claimed is a file whose packet is on its way into the network.
type claimed struct {
	stat stat
	file *os.File
	id   packet.ID
	with []store.Record // are stored with it
}

// small tells whether a file is taken together with others.
func (f *taker) small(l stat) bool {
	return f.cfg.State != "" && l.size <= min(smallFile, f.cfg.InMemory)
}

// takeTogether takes small files that are due, in their order: their packets go to the
// disk at a time, and then the files are moved. Its error ends the folder.
func (f *taker) takeTogether(ctx context.Context, s *candidates) error {
	inHand, end := f.inHand(ctx)
	defer end()
	batch := f.into.Batch()
	to := &doneDirs{by: f}
	defer to.close()
	var files []claimed
	defer func() {
		for _, c := range files {
			c.file.Close() // only read
		}
	}()
	var failed error
	most := maxTogether
	if f.heldUp {
		most = 1 // which is waited for, however long that takes
	}
	for failed == nil && ctx.Err() == nil && len(files) < most && s.isDue() && f.small(s.queue[0].seen) {
		l, ok := f.due(s)
		if !ok {
			continue
		}
		if f.memory == nil && to.of(s, l) == nil {
			continue
		}
		c, p, err := f.read(ctx, l)
		if err == nil {
			files = append(files, c)
			if err = f.put(inHand, batch, p, c.with, len(files) > 1); err == nil {
				continue
			}
			files = files[:len(files)-1]
			c.file.Close() // only read
		}
		switch {
		case errors.Is(err, errAway), errors.Is(err, errKnown):
		case errors.Is(err, errBusy):
			s.again(l)
		case errors.Is(err, errHeldUp):
			s.again(l)
			most = 0
		case errors.As(err, new(refusal)):
			failed = f.refuse(s, l, err)
		case errors.Is(err, packet.ErrTooLarge), errors.Is(err, packet.ErrTooLong):
			failed = f.refuse(s, l, refusal{err}) // the network takes others
		default:
			f.reportStays(l, err)
			failed = fmt.Errorf("inject %s: %w", f.path(l.name), err)
		}
	}
	taken := files
	err := f.flush(inHand, batch, !f.heldUp)
	if err != nil {
		var left []claimed
		taken, left = f.sort(ctx, batch, files)
		for _, c := range left {
			if errors.Is(err, errHeldUp) {
				s.again(c.stat)
			} else {
				f.reportStays(c.stat, err)
			}
		}
		if !errors.Is(err, errHeldUp) && len(left) > 0 {
			failed = errors.Join(failed, fmt.Errorf("inject files of %s: %w", f.cfg.Dir, err))
		}
	}
	f.heldUp = errors.Is(err, errHeldUp)
	for _, c := range taken {
		var away *ownDir
		if f.memory == nil {
			if away = to.of(s, c.stat); away == nil {
				continue // said; it comes again with the same id
			}
		}
		if err := f.done(c.stat, c.file, c.id, away); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // told; what was not taken stays for the next start
	}
	return failed
}

// heldUpTime is how long files in hand wait for the others of their batch.
const heldUpTime = 5 * time.Second

// put puts a packet into the batch; bounded, it gives up with errHeldUp.
func (f *taker) put(ctx context.Context, batch Batch, p packet.Packet, with []store.Record, bounded bool) error {
	return atMost(ctx, bounded, func(ctx context.Context) error { return batch.Put(ctx, p, with...) })
}

// flush flushes the batch; bounded, it gives up with errHeldUp.
func (f *taker) flush(ctx context.Context, batch Batch, bounded bool) error {
	return atMost(ctx, bounded, batch.Flush)
}

// atMost calls do, bounded for heldUpTime at most.
func atMost(ctx context.Context, bounded bool, do func(context.Context) error) error {
	if !bounded {
		return do(ctx)
	}
	within, cancel := context.WithTimeout(ctx, heldUpTime)
	defer cancel()
	err := do(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return errHeldUp
	}
	return err
}

// sort tells which files are taken of a batch that was not flushed.
func (f *taker) sort(ctx context.Context, batch Batch, files []claimed) (taken, left []claimed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), heldUpTime)
	defer cancel()
	for _, c := range files {
		stored, err := batch.Stored(ctx, c.id)
		if err != nil {
			f.cfg.Log.Debug("whether a file was taken could not be asked", "file", f.path(c.stat.name), "error", err)
		}
		if stored {
			taken = append(taken, c)
		} else {
			left = append(left, c)
		}
	}
	return taken, left
}

// doneDirs are the folders where files that are taken move to, of which the last one is
// open: mostly files that are taken together lie together.
type doneDirs struct {
	by  *taker
	sub string
	dir *ownDir
}

// of is [taker.ownFor].
func (d *doneDirs) of(s *candidates, l stat) *ownDir {
	if sub := folderOf(l.name); d.dir == nil || d.sub != sub {
		d.close()
		d.sub, d.dir = sub, d.by.ownFor(s, l, doneDir)
	}
	return d.dir
}

func (d *doneDirs) close() {
	if d.dir != nil {
		d.dir.close()
		d.dir = nil
	}
}

// read claims a small file and makes its packet. Its error is errAway, errBusy, errKnown
// or a refusal.
func (f *taker) read(ctx context.Context, l stat) (c claimed, p packet.Packet, err error) {
	file, err := f.claim(l.name)
	switch {
	case errors.Is(err, errAway), errors.Is(err, errBusy):
		return c, p, err
	case err != nil:
		return c, p, refusal{fmt.Errorf("it cannot be opened: %w", reason(err))}
	}
	p.State = f.cfg.State
	c = claimed{file: file}
	if c.stat, err = f.examine(file, l.name); err == nil && c.stat.size > smallFile {
		err = errBusy // it has grown
	}
	if err == nil {
		named(&p, l.name)
		p.ID, c.with, err = f.know(ctx, c.stat, file)
	}
	if err == nil {
		var data []byte
		data, err = io.ReadAll(&steady{file: file, stat: c.stat, written: f.written})
		p.Data = string(data)
	}
	if err != nil {
		file.Close() // only read
		return c, p, err
	}
	c.id = p.ID
	return c, p, nil
}
