package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/netfs"
	"github.com/recap/pumpkin/packet"
)

// The folders in a watched folder, for what has been dealt with. What they
// hold is the user's: nothing here reads it or deletes it.
const (
	doneDir = ".done"
	badDir  = ".bad"
)

// Config says what to do with the files of a folder.
type Config struct {
	// Dir is the folder; it is made when it is missing, unless files stay there.
	Dir string
	// Memory, unless nil, has files stay where they are, which may be a folder that can
	// only be read, and remembers which were taken.
	Memory Memory
	// Owner sets apart what nodes remember that share the memory.
	Owner string
	// Apart are folders, by their absolute paths, that are not looked into where they lie
	// below Dir.
	Apart []string
	// State makes every file one packet of this state. "" means that .pkt
	// files are read, and others left alone.
	State packet.State
	// Group is the node's group: a .pkt file that names another is bad. ""
	// means that any is taken.
	Group string
	// MaxSize is the most bytes that a .pkt file may have, which is read as a
	// whole; 0 means [packet.MaxFile]. What other files may have is for the
	// network to say.
	MaxSize int64
	// InMemory is how many bytes of data the network takes in memory; 0 means any.
	// Larger files are streamed.
	InMemory int64
	// Quiet is how long a file must not have changed to count as complete; 0
	// means 2 s. Below 0 a file need not be seen unchanged.
	Quiet time.Duration
	// Grace is how long the file in hand may still take once Run's context
	// has ended; 0 means 5 s.
	Grace time.Duration
	// Log takes a line for each thing that a person should know; nil means
	// slog.Default().
	Log *slog.Logger
}

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
type Folder struct {
	cfg    Config
	into   Injector
	kind   string        // what people know it as
	memory *memory       // nil where files move away
	left   map[look]bool // cannot be moved away: told once, then left alone; at most maxLeft
	// others is what was found last that is none to take, by the reason, and told how
	// many of them were told of.
	others map[string]others
	told   map[string]int

	taken, refused int
	counts         atomic.Pointer[Counts]
	late           late
	user           uint32 // that files belong to which the node makes in the folder
	// heldUp: the network was full for so long that files in hand were given back.
	heldUp bool
	// held is why files wait that could not be moved away, by where to; at most maxHeld.
	held map[string]string
	// watcher tells what happens; nil where nothing does. unwatched: it was told that it
	// does not for all sub-folders.
	watcher   watcher
	unwatched bool
	// blind: it was told that nothing tells who writes to a file.
	blind bool
}

// maxLeft is how many files that are left alone are remembered.
const maxLeft = 10_000

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
	f := &Folder{cfg: cfg, into: into, kind: kind, left: make(map[look]bool), held: make(map[string]string), told: make(map[string]int)}
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

// Dir is the folder's absolute path.
func (f *Folder) Dir() string { return f.cfg.Dir }

// checkList says why the folder cannot be listed.
func (f *Folder) checkList() error {
	d, err := os.Open(f.cfg.Dir)
	if err == nil {
		_, err = d.Readdirnames(1)
		d.Close() // only read
	}
	if err != nil && err != io.EOF {
		return fmt.Errorf("the %s %s cannot be listed: %w", f.kind, f.cfg.Dir, reason(err))
	}
	return nil
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

// ParseArgument reads what names a folder on a command line: DIR, or
// DIR=Type:STATE for one whose every file is a packet of that state. A folder
// with a '=' in its name is understood if it is there.
func ParseArgument(arg string) (dir string, state packet.State, err error) {
	at := strings.LastIndexByte(arg, '=')
	if arg == "" {
		return "", "", errors.New("no folder is named: expected DIR or DIR=Type:STATE")
	}
	if at < 0 {
		return arg, "", nil
	}
	state, err = packet.ParseState(arg[at+1:])
	if err == nil && at > 0 {
		return arg[:at], state, nil
	}
	if info, failed := os.Stat(arg); failed == nil && info.IsDir() {
		return arg, "", nil
	}
	if err == nil {
		err = errors.New("there is no folder before the '='")
	}
	return "", "", fmt.Errorf("%q: expected DIR or DIR=Type:STATE: %w", arg, err)
}

// reason is what stands behind the operation and the path in err, where both
// are told already.
func reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// errGone says that the folder was removed, renamed, or cannot be listed.
var errGone = errors.New("removed or renamed")

// retryEvery is how often is looked whether a folder that went away is back.
const retryEvery = time.Second

// Run takes files until ctx ends, and then returns nil once the file in hand
// is dealt with. A folder that is removed meanwhile is told once, and taken
// up again when it is back. An error says that the network takes no more
// packets, or that the folder can no longer be used.
func (f *Folder) Run(ctx context.Context) error {
	if kind := netfs.Kind(f.cfg.Dir); kind != "" {
		f.blind = true // a lease tells of this machine's programs alone
		f.cfg.Log.Info(fmt.Sprintf("the %s is on a network file system (%s): files that other machines put there are seen within %v, and count as complete when they have not changed for %v; --rx-quiet sets how long",
			f.kind, kind, lookEvery, f.cfg.Quiet), "dir", f.cfg.Dir)
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
				f.cfg.Log.Info("the "+f.kind+" is back", "dir", f.cfg.Dir)
			}
			if p, ok := w.(poller); ok && p.why != nil && !ever {
				f.cfg.Log.Warn(fmt.Sprintf("the system does not tell what happens in the %s: it is looked through every %v", f.kind, pollEvery), "dir", f.cfg.Dir, "err", p.why)
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
			f.cfg.Log.Error("the "+f.kind+" is gone; its files are taken again once it is back", "dir", f.cfg.Dir, "err", err)
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
	s := newSettling(f.cfg.Quiet)
	defer s.timer.Stop()
	defer s.through.Stop()
	defer f.tellLate()
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
			err = f.settle(ctx, s)
		case <-s.through.C:
			f.tellLate()
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
func (f *Folder) heed(ctx context.Context, s *settling, n notice) error {
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

// settle takes the first file that is due, and what is due with it.
func (f *Folder) settle(ctx context.Context, s *settling) error {
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

// due takes out the first file that is due, if it is as it was.
func (f *Folder) due(s *settling) (look, bool) {
	seen, due := s.next()
	if !due {
		return look{}, false
	}
	now, ok := f.eligible(seen.name)
	if ok && now != seen {
		s.add(now)
		s.changes(now.name)
	}
	return now, ok && now == seen
}
