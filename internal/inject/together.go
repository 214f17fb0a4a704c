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

const (
	// smallFile is the size, in bytes, up to which files are taken together: each
	// alone would wait for the disk.
	smallFile = 16 << 10
	// maxTogether is how many are, and are open at a time.
	maxTogether = 256
)

// A claimed is a file whose packet is on its way into the network.
type claimed struct {
	look look
	file *os.File
	id   packet.ID
	with []store.Record // are stored with it
}

// small tells whether a file is taken together with others.
func (f *Folder) small(l look) bool {
	return f.cfg.State != "" && l.size <= min(smallFile, f.cfg.InMemory)
}

// takeTogether takes small files that are due, in their order: their packets go to the
// disk at a time, and then the files are moved. Its error ends the folder.
func (f *Folder) takeTogether(ctx context.Context, s *settling) error {
	inHand, end := f.inHand(ctx)
	defer end()
	batch := f.into.Batch()
	to := &doneDirs{folder: f}
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
			f.stays(l, err)
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
				s.again(c.look)
			} else {
				f.stays(c.look, err)
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
			if away = to.of(s, c.look); away == nil {
				continue // said; it comes again with the same id
			}
		}
		if err := f.done(c.look, c.file, c.id, away); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // told; what was not taken stays for the next start
	}
	return failed
}

// errHeldUp is a network that is full for so long that the files in hand are better given
// back: those of them that are taken would lie there all that time.
var errHeldUp = errors.New("the network is full")

// heldUpTime is how long files in hand wait for the others of their batch.
const heldUpTime = 5 * time.Second

// put puts a packet into the batch; bounded, it gives up with errHeldUp.
func (f *Folder) put(ctx context.Context, batch Batch, p packet.Packet, with []store.Record, bounded bool) error {
	return atMost(ctx, bounded, func(ctx context.Context) error { return batch.Put(ctx, p, with...) })
}

// flush flushes the batch; bounded, it gives up with errHeldUp.
func (f *Folder) flush(ctx context.Context, batch Batch, bounded bool) error {
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
func (f *Folder) sort(ctx context.Context, batch Batch, files []claimed) (taken, left []claimed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), heldUpTime)
	defer cancel()
	for _, c := range files {
		stored, err := batch.Stored(ctx, c.id)
		if err != nil {
			f.cfg.Log.Debug("looking whether a file was taken", "file", f.path(c.look.name), "error", err)
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
	folder *Folder
	sub    string
	dir    *ownDir
}

// of is [Folder.ownFor].
func (d *doneDirs) of(s *settling, l look) *ownDir {
	if sub := folderOf(l.name); d.dir == nil || d.sub != sub {
		d.close()
		d.sub, d.dir = sub, d.folder.ownFor(s, l, doneDir)
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
func (f *Folder) read(ctx context.Context, l look) (c claimed, p packet.Packet, err error) {
	file, err := f.claim(l.name)
	switch {
	case errors.Is(err, errAway), errors.Is(err, errBusy):
		return c, p, err
	case err != nil:
		return c, p, refusal{fmt.Errorf("it cannot be opened: %w", reason(err))}
	}
	p.State = f.cfg.State
	c = claimed{file: file}
	if c.look, err = f.look(file, l.name); err == nil && c.look.size > smallFile {
		err = errBusy // it has grown
	}
	if err == nil {
		named(&p, l.name)
		p.ID, c.with, err = f.know(ctx, c.look, file)
	}
	if err == nil {
		var data []byte
		data, err = io.ReadAll(&steady{file: file, look: c.look, written: f.written})
		p.Data = string(data)
	}
	if err != nil {
		file.Close() // only read
		return c, p, err
	}
	c.id = p.ID
	return c, p, nil
}

// inHand is what the files in hand live by: once ctx has ended it goes on for the time
// of grace, so that they are not cut off without need.
func (f *Folder) inHand(ctx context.Context) (inHand context.Context, end func()) {
	inHand, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(f.cfg.Grace):
			cancel()
		case <-inHand.Done():
		}
	})
	return inHand, func() {
		stop()
		cancel()
	}
}

// stays says that a file was not taken.
func (f *Folder) stays(l look, err error) {
	f.cfg.Log.Warn("a file stays in the "+f.kind+", not taken; its packet will have the same id at the next start", "file", f.path(l.name), "err", err)
}
