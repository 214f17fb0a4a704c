package inject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/netfs"
	"github.com/recap/pumpkin/packet"
)

// A Folder makes packets of the files that are dropped into a folder.
//
// A file counts once it is complete: no program has it open for writing, as far
// as the system tells, and it has not changed for [Config.Quiet], an empty one
// for a minute. Files are taken in the order in which they became complete, small
// ones many at a time, those in sub-folders as well. A file whose packet is taken moves
// to .done/, into the same sub-folder there, and is looked at for a while: what changes
// in it then is in no packet. A bad one moves likewise to .bad/, beside a text
// NAME.why.txt. Only regular files count: a symbolic link could lead to what its author
// may not read, so links are not followed. Hidden files and folders, and those with the
// name of a temporary file, are not looked at.
//
// With a [Config.Memory] files stay: one that was taken is taken again when it has
// changed, and a bad one is said once.
//
// The id of a file's packet, where the file names none, follows from its path,
// inode, size, times of change and content, so that a file that is read again,
// because the node died over it, gives the packet that it gave before, and is stored
// once.
type Folder struct{ taker }

// New makes the folder ready and checks that files can be moved in it. It
// starts nothing.
func New(cfg Config, into Injector) (*Folder, error) {
	kind := "rx folder"
	if cfg.Memory != nil {
		kind = "watched folder"
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("the %s %s: %w", kind, cfg.Dir, err)
	}
	cfg.Dir = dir
	if cfg.State != "" {
		if _, err := packet.ParseState(string(cfg.State)); err != nil {
			return nil, fmt.Errorf("the %s %s: %w", kind, cfg.Dir, err)
		}
	}
	if cfg.MaxSize == 0 {
		cfg.MaxSize = packet.MaxFile
	}
	if cfg.Quiet == 0 {
		cfg.Quiet = 2 * time.Second
	}
	cfg.Quiet = max(cfg.Quiet, 0)
	if cfg.InMemory == 0 {
		cfg.InMemory = smallFile
	}
	if cfg.Grace == 0 {
		cfg.Grace = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	f := &Folder{}
	f.cfg, f.kind, f.into = cfg, kind, into
	f.left, f.reported, f.held = make(map[stat]bool), make(map[string]int), make(map[string]string)
	if cfg.Memory != nil {
		f.memory = newMemory(cfg.Memory, cfg.Owner, dir)
		return f, f.checkList()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the rx folder: %w", err)
	}
	if err := f.checkList(); err != nil {
		return nil, err
	}
	f.user, err = checkUse(dir)
	return f, err
}

// checkUse says why the folder cannot be used: one must be able to write in it, since
// files are moved out of the way. It gives the user that files belong to which are made
// there: on a network file system not always the node's.
func checkUse(dir string) (user uint32, err error) {
	probe, err := os.CreateTemp(dir, ".pmk-probe-*")
	if err != nil {
		return 0, fmt.Errorf("the rx folder %s cannot be written, so no file could be moved away once it is taken: %w", dir, reason(err))
	}
	user, err = ownerOf(probe)
	if err := errors.Join(err, probe.Close(), os.Remove(probe.Name())); err != nil {
		return 0, fmt.Errorf("the rx folder %s: %w", dir, err)
	}
	return user, nil
}

// retryEvery is how often is looked whether a folder that went away is back.
const retryEvery = time.Second

// Run takes files until ctx ends, and then returns nil once the file in hand
// is dealt with. A folder that is removed meanwhile is told once, and taken
// up again when it is back. An error says that the network takes no more
// packets, or that the folder can no longer be used.
func (f *Folder) Run(ctx context.Context) error {
	if kind := netfs.Kind(f.cfg.Dir); kind != "" {
		f.blind = true // a lease tells of this machine's programs alone
		f.cfg.Log.Info("the "+f.kind+" is on a network file system: what other machines put there is looked for, and counts as complete when it has not changed for a while; --rx-quiet sets how long",
			"folder", f.cfg.Dir, "system", kind, "every", lookEvery, "quiet", f.cfg.Quiet)
	}
	if f.blind {
		return f.whileHeld(ctx, f.takeFiles)
	}
	return f.takeFiles(ctx)
}

// takeFiles is Run for a folder that is this node's, or whose files have locks.
func (f *Folder) takeFiles(ctx context.Context) error {
	gone, ever := false, false
	for ctx.Err() == nil {
		w, err := watch(f.cfg.Dir)
		if err == nil {
			if gone {
				f.cfg.Log.Info("the "+f.kind+" is back", "folder", f.cfg.Dir)
			}
			if p, ok := w.(poller); ok && p.why != nil && !ever {
				f.cfg.Log.Warn("the system does not tell what happens in the "+f.kind+": it is looked through all the time",
					"folder", f.cfg.Dir, "every", pollEvery, "error", p.why)
			}
			gone, ever = false, true
			if err = f.follow(ctx, w); !errors.Is(err, errGone) {
				return err
			}
		}
		if !ever {
			return fmt.Errorf("watch the %s %s: %w", f.kind, f.cfg.Dir, err)
		}
		if !gone {
			gone = true
			f.cfg.Log.Error("the "+f.kind+" is gone; its files are taken again once it is back", "folder", f.cfg.Dir, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
	return nil
}

// follow deals with what w tells until ctx ends, which gives nil, or the
// folder cannot be followed any more, which gives errGone.
func (f *Folder) follow(ctx context.Context, w watcher) error {
	f.watcher = w
	g, watching := errgroup.WithContext(ctx)
	notices := make(chan notice)
	g.Go(func() error { return w.run(watching, notices) })
	g.Go(func() error { return f.loop(ctx, watching, notices) })
	return g.Wait()
}

// loop deals with notices until watching ends; ctx is what the file in hand
// lives by. While a file is being taken no notice is, so that what a burst of
// files tells stays where the system bounds it.
func (f *Folder) loop(ctx, watching context.Context, notices <-chan notice) error {
	s := newCandidates(f.cfg.Quiet)
	defer s.timer.Stop()
	defer s.through.Stop()
	defer f.reportLate()
	// Whatever is told is not all: of what other machines do on a network file system
	// nothing is.
	if err := f.scan(ctx, s); err != nil {
		return err
	}
	f.count(s)
	for watching.Err() == nil {
		var err error
		select {
		case <-watching.Done():
		case n := <-notices:
			err = f.heed(ctx, s, n)
		case <-s.timer.C:
			err = f.takeDue(ctx, s)
		case <-s.through.C:
			f.reportLate()
			err = f.scan(ctx, s)
		}
		if err != nil {
			return err
		}
		f.count(s)
	}
	return nil
}

// heed deals with one notice.
func (f *Folder) heed(ctx context.Context, s *candidates, n notice) error {
	switch n.what {
	case completed:
		if l, ok := f.eligible(n.name); ok && f.isNew(ctx, l) {
			s.add(l)
		}
	case appeared:
		// One that is being written will tell when it is closed; a hard
		// link to a file that is there already will not.
		if l, ok := f.eligible(n.name); ok && l.links > 1 && f.isNew(ctx, l) {
			s.add(l)
		}
	case entered:
		f.scanBelow(ctx, s, n.name)
	case missed:
		return f.rescan(ctx, s)
	}
	return nil
}

// takeDue takes the first file that is due, and what is due with it.
func (f *Folder) takeDue(ctx context.Context, s *candidates) error {
	if l, ok := f.due(s); ok {
		if err := f.take(ctx, s, l); err != nil {
			return err
		}
	}
	if len(s.queue) == 0 && s.more {
		s.more = false
		return f.scan(ctx, s)
	}
	return nil
}

// count makes known how many files became what.
func (f *Folder) count(s *candidates) {
	left := 0
	if f.memory == nil { // else those are bad
		left = len(f.left)
	}
	for _, found := range f.others {
		left += found.count
	}
	f.publish(left, s.changing)
}
