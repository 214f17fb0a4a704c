package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
)

// roundsEnv is how many crashes there are; else it is as many as fit into
// crashTime.
const (
	roundsEnv = "PMK_CRASH_ROUNDS"
	crashTime = 8 * time.Second
)

// testCrash cuts the power of a store at work, again and again: what was durable
// is there, transactions are whole, and no number is given twice.
func testCrash(b *bench) {
	b.close()
	rounds, end := 1<<30, time.Now().Add(crashTime)
	if text := os.Getenv(roundsEnv); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		rounds, end = n, time.Now().Add(24*time.Hour)
	}
	done := 0
	for done < rounds && time.Now().Before(end) {
		c := &crashed{bench: b, fs: vfs.NewCrashableMem(), said: map[string]int{}, seen: map[string]string{}, large: rand.IntN(20) == 0}
		c.start()
		for i := 0; i < 30 && done < rounds && time.Now().Before(end); i++ {
			c.round()
			done++
		}
	}
	b.close()
	b.Logf("%d crashes", done)
}

// A crashed store is one on a file system that loses what was not synced.
type crashed struct {
	*bench
	fs    *vfs.MemFS
	large bool // writes much beside

	mu      sync.Mutex
	said    map[string]int    // moves of tokens that are durable
	seen    map[string]string // which frame had a number in a queue
	commits int               // durable ones to do before the next crash
	leases  int               // or so many
	enough  chan struct{}     // closed then
}

func (c *crashed) openOn(fs *vfs.MemFS) {
	c.Helper()
	c.fs = fs
	s, err := c.kind.Open(c.Context(), Options{Dir: "/data", FS: fs})
	if err != nil {
		c.Fatalf("open: %v", err)
	}
	c.store = s
}

func (c *crashed) start() {
	c.Helper()
	err := c.fs.MkdirAll("/data", 0o700)
	if err == nil {
		err = syncDir(c.fs, "/")
	}
	if err != nil {
		c.Fatal(err)
	}
	c.openOn(c.fs)
	if err := makeTokens(c.Context(), c.store); err != nil {
		c.Fatal(err)
	}
}

func syncDir(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Write hears what movers say.
func (c *crashed) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		name, moves, err := parseToken(strings.TrimSuffix(strings.TrimPrefix(line, "append "), "\n"))
		if err != nil {
			return 0, err
		}
		c.said[name] = max(c.said[name], moves)
	}
	if c.commits--; c.commits == 0 {
		c.ripe()
	}
	return len(p), nil
}

// saw notes the number of a frame.
func (c *crashed) saw(q store.Queue, number uint64, data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprintf("%d in %s", number, q)
	if before, ok := c.seen[key]; ok && before != data {
		c.Errorf("number %s was that of %q and is that of %q", key, before, data)
	}
	c.seen[key] = data
	if c.leases--; c.leases == 0 {
		c.ripe()
	}
}

// ripe says that it is time for a crash. The caller holds the lock.
func (c *crashed) ripe() {
	c.commits, c.leases = 0, 0
	close(c.enough)
}

// round has tokens moved, cuts the power meanwhile, and looks at what is left.
func (c *crashed) round() {
	c.mu.Lock()
	c.commits, c.leases, c.enough = 0, 0, make(chan struct{})
	if rand.IntN(3) == 0 {
		c.leases = 1 + rand.IntN(10) // perhaps before anything is durable
	} else {
		c.commits = 1 + rand.IntN(10)
	}
	c.mu.Unlock()
	ctx, stop := context.WithCancel(c.Context())
	s := c.store
	var movers sync.WaitGroup
	for range 3 {
		movers.Go(func() {
			err := moveTokens(ctx, s, c, func(q store.Queue, l store.Lease) { c.saw(q, l.Number(), string(l.Data())) })
			if ctx.Err() == nil {
				c.Errorf("moving tokens: %v", err)
			}
		})
	}
	if c.large {
		movers.Go(func() { c.writeMuch(ctx, s) })
	}
	select {
	case <-c.enough:
	case <-time.After(long):
		c.Errorf("no token was moved within %v", long)
	}
	c.mu.Lock()
	said := maps.Clone(c.said)
	c.mu.Unlock()
	crash := c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rand.IntN(101), RNG: rand.New(rand.NewPCG(rand.Uint64(), 0))})
	stop()
	movers.Wait()
	if err := s.Close(); err != nil {
		c.Errorf("close: %v", err)
	}
	c.mu.Lock()
	c.said = said // what was said later is lost
	c.mu.Unlock()
	if c.Failed() {
		c.FailNow()
	}
	c.openOn(crash)
	c.check()
}

// check looks at a store after a crash.
func (c *crashed) check() {
	c.Helper()
	if err := checkTokens(c.Context(), c.store, c.said); err != nil {
		c.Fatal(err)
	}
	if n := c.frames(); n != tokens {
		c.Fatalf("%d frames are counted; expected %d", n, tokens)
	}
	if damage := c.store.State().Damage; len(damage) > 0 {
		c.Fatalf("the store is said to be damaged: %q", damage)
	}
	for _, q := range []store.Queue{greet, wait} {
		for _, s := range c.lookAll(q) {
			c.saw(q, s.Number, string(s.Data))
		}
	}
}

// writeMuch writes large records until ctx ends, so that tables are written and
// merged.
func (c *crashed) writeMuch(ctx context.Context, s store.Store) {
	for i := 0; ctx.Err() == nil; i++ {
		value := make([]byte, 256<<10)
		for k := range value {
			value[k] = byte(rand.Uint32())
		}
		key := store.Key{In: "large", Key: strconv.Itoa(i % 20)}
		if err := s.Commit(ctx, &store.Tx{Put: []store.Record{{Key: key, Value: value}}}); err != nil && ctx.Err() == nil {
			c.Errorf("put: %v", err)
			return
		}
	}
}
