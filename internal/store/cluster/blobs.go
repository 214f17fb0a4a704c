package cluster

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// Blobs store large data in the cluster's object store, for all nodes of the
// group.
//
// No node knows who else needs a blob, so none is removed because somebody lets
// go of it here. Instead there is an index, a key-value bucket: under a blob's
// sum stands the name of the object that holds it, and the time of the entry is
// when the blob was last used. Whoever puts, holds or opens a blob, or appends a
// frame that names it, renews its entry, unless it did so a short while ago. At
// times one node looks at all frames, renews what they name, and removes the
// entries that nobody has renewed for the grace, but only in the revision that
// it has read before; then the object is deleted. An object's name is drawn, so
// data that is put again meanwhile has another object and another entry. What a
// frame names is therefore never removed; what none names any more lies there
// for about the grace.
type Blobs struct {
	s       *locks
	grace   time.Duration
	index   jetstream.KeyValue
	objects objectStore

	mu   sync.Mutex
	used map[packet.Sum]time.Time // when its entry was last renewed from here
	old  time.Time                // when what is old in it was last forgotten
}

var _ store.Blobs = (*Blobs)(nil)

// defaultGrace is how long large data stays that nobody has used.
const defaultGrace = time.Hour

// An entry is what the index says of a blob.
type entry struct {
	Object string `json:"object"`
	Size   int64  `json:"size"`
}

// newBlobs are the large data of the group; open opens them.
func newBlobs(s *locks) *Blobs {
	b := &Blobs{s: s, grace: s.cfg.Grace, used: map[packet.Sum]time.Time{}}
	b.objects.link, b.objects.bucket = &s.link, "pmk_"+s.cfg.Group+"_data"
	if b.grace <= 0 {
		b.grace = defaultGrace
	}
	return b
}

func (b *Blobs) open(ctx context.Context) (err error) {
	s, o := b.s, &b.objects
	if b.index, err = s.bucket(ctx, jetstream.KeyValueConfig{Bucket: "pmk_" + s.cfg.Group + "_large"}); err != nil {
		return err
	}
	o.kv, err = s.js.ObjectStore(ctx, o.bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return err
	}
	err = s.withReplicas(func(replicas int) error {
		o.kv, err = s.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: o.bucket, Replicas: replicas})
		return err
	})
	if errors.Is(err, jetstream.ErrBucketExists) { // another node made it
		o.kv, err = s.js.ObjectStore(ctx, o.bucket)
	}
	return err
}

// Put stores what r gives, at most limit bytes. See [store.Blobs].
func (b *Blobs) Put(ctx context.Context, r io.Reader, limit int64) (packet.Blob, error) {
	u := upload{to: &b.objects, object: nuid.Next()}
	blob, err := u.run(ctx, r, limit)
	if err != nil {
		u.discard()
		return packet.Blob{}, err
	}
	// By the clock on the wall: this machine may have slept.
	put := time.Now().Round(0)
	mine, err := b.enter(ctx, blob.Sum, entry{u.object, blob.Size})
	switch {
	case err != nil && ctx.Err() != nil:
		return packet.Blob{}, ctx.Err()
	case err != nil: // whether the entry is there is not known: nothing is deleted
		return packet.Blob{}, fmt.Errorf("store large data: %w", b.s.broken(err))
	case !mine:
		u.discard()
	case time.Now().Round(0).Sub(put) > b.grace/2:
		return packet.Blob{}, fmt.Errorf("store large data: %w: it took too long, and may have been collected", store.ErrBroken)
	}
	return blob, nil
}

// enter puts a blob into the index or, if it is there, renews its entry; mine
// tells which.
func (b *Blobs) enter(ctx context.Context, sum packet.Sum, e entry) (mine bool, err error) {
	value, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	for {
		calls, cancel := b.s.within(ctx, callWait)
		_, err := b.index.Create(calls, hex.EncodeToString(sum[:]), value)
		cancel()
		switch {
		case err == nil:
			b.note(sum)
			return true, nil
		case !errors.Is(err, jetstream.ErrKeyExists):
			return false, err
		}
		if err := b.renew(ctx, sum); !errors.Is(err, errNoBlob) {
			return false, err
		}
	}
}

// touch renews a blob's entry, unless this node did so a short while ago.
func (b *Blobs) touch(ctx context.Context, sum packet.Sum) error {
	b.mu.Lock()
	at, known := b.used[sum]
	b.mu.Unlock()
	if known && time.Since(at) < b.grace/8 {
		return nil
	}
	return b.renew(ctx, sum)
}

// renew renews a blob's entry; errNoBlob says that there is none.
func (b *Blobs) renew(ctx context.Context, sum packet.Sum) error {
	for {
		_, now, err := b.lookUp(ctx, sum)
		if err != nil {
			return err
		}
		calls, cancel := b.s.within(ctx, callWait)
		_, err = b.index.Update(calls, now.Key(), now.Value(), now.Revision())
		cancel()
		if err == nil {
			b.note(sum)
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) { // else another has renewed or removed it
			return err
		}
	}
}

// named renews what a frame names that is to be appended. What the store does
// not have is no reason to refuse a frame: its packet fails when it is run, and
// that is stored as well.
func (b *Blobs) named(ctx context.Context, sums []packet.Sum) error {
	for _, sum := range sums {
		if err := b.touch(ctx, sum); err != nil && !errors.Is(err, errNoBlob) {
			return b.s.unanswered(ctx, err)
		}
	}
	return nil
}

// lookUp reads a blob's entry.
func (b *Blobs) lookUp(ctx context.Context, sum packet.Sum) (entry, jetstream.KeyValueEntry, error) {
	ctx, cancel := b.s.within(ctx, callWait)
	defer cancel()
	now, err := b.index.Get(ctx, hex.EncodeToString(sum[:]))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return entry{}, nil, errNoBlob
	}
	if err != nil {
		return entry{}, nil, err
	}
	return parseEntry(now)
}

func parseEntry(kv jetstream.KeyValueEntry) (entry, jetstream.KeyValueEntry, error) {
	var e entry
	if err := json.Unmarshal(kv.Value(), &e); err != nil || e.Object == "" || e.Size < 0 {
		return entry{}, nil, fmt.Errorf("its entry in the index is none: %q", kv.Value())
	}
	return e, kv, nil
}

// note remembers that a blob's entry was renewed now.
func (b *Blobs) note(sum packet.Sum) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.used[sum] = now
	if now.Sub(b.old) < b.grace {
		return
	}
	b.old = now
	for sum, at := range b.used {
		if now.Sub(at) > b.grace {
			delete(b.used, sum)
		}
	}
}

// Open reads a blob from the cluster into a file that has no name and is gone
// when it is closed. See [store.Blobs].
func (b *Blobs) Open(blob packet.Blob) (*os.File, error) {
	file, err := b.openFile(b.s.ctx, blob)
	if err != nil {
		return nil, fmt.Errorf("large data %x: %w", blob.Sum[:8], err)
	}
	return file, nil
}

func (b *Blobs) openFile(ctx context.Context, blob packet.Blob) (*os.File, error) {
	if err := b.touch(ctx, blob.Sum); err != nil {
		return nil, err
	}
	e, _, err := b.lookUp(ctx, blob.Sum)
	if err != nil {
		return nil, err
	}
	if e.Size != blob.Size {
		return nil, fmt.Errorf("it has %d bytes in the store; expected %d", e.Size, blob.Size)
	}
	file, err := os.CreateTemp("", "pmk-large-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(file.Name()) // the file lives as long as it is open
	if err == nil {
		err = b.fetch(ctx, e, blob, file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// fetch writes an object into a file, which then is at its beginning. A server
// that goes meanwhile is no reason to fail: another has the object too.
func (b *Blobs) fetch(ctx context.Context, e entry, blob packet.Blob, file *os.File) error {
	for try := 1; ; try++ {
		err := b.objects.download(ctx, e.Object, blob, file)
		_, back := file.Seek(0, io.SeekStart)
		if back != nil {
			return errors.Join(err, back)
		}
		if err == nil || try == maxFetches || ctx.Err() != nil || errors.Is(err, errNoBlob) || errors.Is(err, packet.ErrDamagedBlob) {
			return err
		}
		if err := file.Truncate(0); err != nil {
			return err
		}
	}
}

// maxFetches is how often the reading of an object is begun.
const maxFetches = 3

// Hold renews the blob's entry. Who holds it is not counted: what frames name is
// looked for in them.
func (b *Blobs) Hold(sum packet.Sum) {
	if err := b.touch(b.s.ctx, sum); err != nil && b.s.ctx.Err() == nil {
		// The append that follows, or the next look at all frames, renews it.
		b.s.log.Debug("large data is held that was not renewed", "sum", hex.EncodeToString(sum[:8]), "error", err)
	}
}

// Drop does nothing: another node may need the blob.
func (b *Blobs) Drop(packet.Sum) error { return nil }

// Any says that there is nothing for a node to look for at its start.
func (b *Blobs) Any() (bool, error) { return false, nil }

// Sweep does nothing: what nobody needs any more is collected all the time.
func (b *Blobs) Sweep() error { return nil }
