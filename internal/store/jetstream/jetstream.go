// Package jetstream is the store on disk: a NATS JetStream server that runs
// inside the node, without a port, and is spoken to through memory.
//
// Every place is a stream of its own. A frame is one message; its number is the
// message's sequence; how many packets it holds is the last token of its subject,
// so that a place is counted without reading it. Who has which frame is known to
// this process alone (see [line]), since nobody else reads its folder; how often
// frames were leased outlives it in the [tally].
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/folder"
)

// Config says how a store is opened. Dir may only be empty for a store in
// memory.
type Config struct {
	// Dir is the node's data folder; the server's own folder is below it.
	Dir string
	// Group is the first part of every subject. Empty means "default".
	Group string
	// Memory keeps everything in memory: it survives nothing but a seed's
	// crash.
	Memory bool
	// Size bounds the bytes of frames that roots may take. 0 is no bound but
	// what the disk has.
	Size int64
	// Reserve is what descendants may take beyond that. 0 is a fifth of Size,
	// and at least 1 GiB.
	Reserve int64
	// Log gets what the server says and what the store finds. nil is no log.
	Log *slog.Logger
	// Free tells the bytes that are free where the store lies, and how many
	// there are in total. nil asks the file system.
	Free func() (free, total int64, err error)
}

// ErrClosed is what every call gives after Close.
var ErrClosed = errors.New("the store is closed")

// serverDir is the server's folder in the data folder.
const serverDir = "jetstream"

// A Store keeps frames in an embedded server. It is safe for concurrent use.
type Store struct {
	cfg    Config
	log    *slog.Logger
	room   *room
	damage damage
	unlock func() error
	wipe   string // a folder to remove at the end

	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	wg     sync.WaitGroup // the goroutines that end with ctx
	kick   chan struct{}  // wakes the supervisor
	faults chan error     // what the server could not write

	mu      sync.Mutex
	eng     *engine       // nil while the server is down
	down    error         // why it is down
	shy     error         // why it was, and nothing is appended
	shyFor  time.Time     // until then
	frugal  time.Time     // until then frames are taken out one by one
	changed chan struct{} // closed when eng changed
	closing sync.Once
	closed  error
	lines   map[store.Place]*line
	tally   *tally
	// endings counts the frames that are done with and not yet taken out of the
	// server, and unconfirmed their bytes; fewer is closed when those are few
	// again, and nil while nobody waits for that.
	endings     int
	unconfirmed int64
	fewer       chan struct{}
	settling    int // who waits until there are no endings

	hung atomic.Bool // a server never ended: the folder stays locked
}

var _ store.Store = (*Store)(nil)

// Open starts a store on the folder, which nobody else may have open. What
// holders of an earlier process had leased is free again at once.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	s := &Store{cfg: cfg, log: cfg.Log, kick: make(chan struct{}, 1), faults: make(chan error, 1), changed: make(chan struct{}), lines: map[store.Place]*line{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.Group == "" {
		s.cfg.Group = "default"
	}
	s.tally, _, _ = openTally("") // the one of a folder is read with it
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err := s.takeFolder(); err != nil {
		return nil, err
	}
	if s.cfg.Free == nil {
		s.cfg.Free = func() (int64, int64, error) { return folder.Free(s.cfg.Dir) }
	}
	s.room = newRoom(s.cfg.Size, s.cfg.Reserve, s.cfg.Free, s.cfg.Memory)
	var losses []loss
	if !cfg.Memory {
		if losses, err = s.mend(); err != nil {
			return nil, fmt.Errorf("open the store in %s: %w", s.cfg.Dir, err)
		}
	}
	eng, err := s.start(ctx, losses)
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", s.cfg.Dir, err)
	}
	s.eng = eng
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.wg.Go(s.supervise)
	return s, nil
}

// takeFolder makes the data folder and locks it.
func (s *Store) takeFolder() error {
	if s.cfg.Dir == "" {
		if !s.cfg.Memory {
			return errors.New("open a store: no folder is named")
		}
		dir, err := os.MkdirTemp("", "pmk-memory-")
		if err != nil {
			return fmt.Errorf("make a folder for the store in memory: %w", err)
		}
		s.cfg.Dir, s.wipe = dir, dir
	}
	if err := os.MkdirAll(filepath.Join(s.cfg.Dir, serverDir), 0o700); err != nil {
		return fmt.Errorf("make the folder of the store: %w; choose another with --data DIR", err)
	}
	unlock, err := folder.Lock(filepath.Join(s.cfg.Dir, serverDir))
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	s.unlock = unlock
	return nil
}

// release undoes takeFolder.
func (s *Store) release() {
	s.mu.Lock()
	_ = s.tally.close() // what it was told is in the file
	s.mu.Unlock()
	if s.unlock != nil {
		_ = s.unlock() // the descriptor goes with the process at the latest
	}
	if s.wipe != "" {
		_ = os.RemoveAll(s.wipe)
	}
}

// Promise is what appended frames survive.
func (s *Store) Promise() store.Promise {
	return store.Promise{Kill: !s.cfg.Memory, PowerLoss: !s.cfg.Memory}
}

// State tells how full the store is and whether it can be written.
func (s *Store) State() store.State {
	s.mu.Lock()
	down := s.down
	if down == nil {
		down = s.unsure()
	}
	s.mu.Unlock()
	if down == nil {
		down = s.room.low()
	}
	return store.State{
		Used: s.room.used.Load(), Size: s.room.size, Reserve: s.room.reserve,
		Err: down, Damage: s.damage.lines(),
	}
}

// Close gives all leases back, waits for what was acknowledged and ends the
// server.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.stop()
		s.wg.Wait()
		s.mu.Lock()
		eng := s.eng
		s.eng, s.down = nil, ErrClosed
		s.announce()
		s.mu.Unlock()
		s.endLeases()
		if eng != nil {
			s.settle(context.Background(), eng, closeWait)
			s.closed = eng.close()
		}
		if s.hung.Load() {
			s.closed = errors.New("close the store: the embedded server does not stop")
			return
		}
		s.release()
	})
	return s.closed
}

// closeWait is how long Close waits for the server to take acknowledgements.
const closeWait = 5 * time.Second

// announce wakes whoever waits for the server. The lock is held.
func (s *Store) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// current is the running server, and a channel that is closed when another
// look is worth it. Without a server the error says why.
func (s *Store) current() (*engine, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.eng != nil:
		return s.eng, s.changed, nil
	case errors.Is(s.down, ErrClosed):
		return nil, s.changed, ErrClosed
	}
	return nil, s.changed, fmt.Errorf("%w: %w", store.ErrBroken, s.down)
}

// damage are the lines about what is broken, bounded in number.
type damage struct {
	mu   sync.Mutex
	said []string
	more int
}

// maxDamage is how many lines of damage are kept.
const maxDamage = 100

// add keeps a line once, and tells whether it is new and not one too many.
func (d *damage) add(line string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case slices.Contains(d.said, line):
	case len(d.said) >= maxDamage:
		d.more++
	default:
		d.said = append(d.said, line)
		return true
	}
	return false
}

func (d *damage) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := slices.Clone(d.said)
	if d.more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", d.more))
	}
	return lines
}
