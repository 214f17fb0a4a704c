package inject

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// watchedTable remembers the files that were taken and stay where they are. A key is 16
// bytes for the folder and 16 for the file's name. A value is, with times as nanoseconds
// since 1970 and numbers as 8 bytes, big endian:
//
//	size
//	when its data changed last
//	when its data, names or rights did
//	since when it is gone, 0 while it is there
//	a hash of its first and last 64 KiB, 16 bytes
//	its name below the folder
const watchedTable store.Table = "watched"

const (
	// forgetAfter is how long a file is remembered that is gone: a disk that is not
	// mounted looks as if all of its files were.
	forgetAfter = 7 * 24 * time.Hour
	// forgetEvery is how often is looked which are.
	forgetEvery = time.Hour
	// forgetBatch is how many change in one transaction.
	forgetBatch = 1000
)

// A memory is that of one folder.
type memory struct {
	in     Memory
	folder string // the begin of its keys
	forgot time.Time
	failed bool // it was told that it cannot be used

	// recent are hashes of looks that saw files as they are remembered, each at a place
	// that it says itself, where the next one replaces it: most files are as they were,
	// and to read what is remembered of one takes three times as long as to look at it.
	recent []uint64
	seed   maphash.Seed
}

// maxRecent is how many those are at most.
const maxRecent = 1 << 20

// newMemory is that of the folder dir of owner.
func newMemory(in Memory, owner, dir string) *memory {
	return &memory{
		in: in, folder: string(packet.HashID("watched folder", owner, dir).Append(nil)),
		recent: make([]uint64, maxRecent), seed: maphash.MakeSeed(),
	}
}

// place is where the hash of a look is, if it is among the recent ones.
func (m *memory) place(l stat) (at *uint64, hash uint64) {
	hash = maphash.Comparable(m.seed, l)
	return &m.recent[hash%maxRecent], hash
}

// A remembered is a file as it was when it was taken.
type remembered struct {
	size, changed, status, gone int64
	content                     packet.ID
	name                        string
}

func (m *memory) key(name string) store.Key {
	return store.Key{In: watchedTable, Key: m.folder + string(packet.HashID("watched file", name).Append(nil))}
}

func (m *memory) record(r *remembered) store.Record {
	var value []byte
	for _, n := range []int64{r.size, r.changed, r.status, r.gone} {
		value = binary.BigEndian.AppendUint64(value, uint64(n)) //nolint:gosec // as it is read
	}
	return store.Record{Key: m.key(r.name), Value: append(r.content.Append(value), r.name...)}
}

// readRemembered reads what record writes.
func readRemembered(value []byte) (r remembered, ok bool) {
	const numbers = 4 * 8
	if len(value) < numbers+16 {
		return r, false
	}
	for i, n := range []*int64{&r.size, &r.changed, &r.status, &r.gone} {
		*n = int64(binary.BigEndian.Uint64(value[8*i:])) //nolint:gosec // as it was written
	}
	r.content = packet.IDOf([16]byte(value[numbers:]))
	r.name = string(value[numbers+16:])
	return r, true
}

// get is what is remembered of a file.
func (m *memory) get(ctx context.Context, name string) (r remembered, ok bool, err error) {
	value, ok, err := m.in.Get(ctx, m.key(name))
	if err != nil || !ok {
		return r, false, err
	}
	r, ok = readRemembered(value)
	return r, ok && r.name == name, nil
}

// forget looks for all files that are remembered, at their paths.
func (m *memory) forget(ctx context.Context, now int64, path func(name string) string) error {
	tx := new(store.Tx)
	var failed error
	commit := func() bool {
		if len(tx.Put)+len(tx.Delete) > 0 {
			failed = m.in.Commit(ctx, tx)
			tx = new(store.Tx)
		}
		return failed == nil
	}
	err := m.in.Scan(ctx, watchedTable, m.folder, func(key string, value []byte) bool {
		r, ok := readRemembered(value)
		_, err := os.Lstat(path(r.name))
		gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
		switch {
		case !ok || gone && r.gone > 0 && now-r.gone >= int64(forgetAfter):
			tx.Delete = append(tx.Delete, store.Key{In: watchedTable, Key: key})
		case gone && r.gone == 0:
			r.gone = now
			tx.Put = append(tx.Put, m.record(&r))
		case err == nil && r.gone > 0:
			r.gone = 0
			tx.Put = append(tx.Put, m.record(&r))
		}
		return ctx.Err() == nil && (len(tx.Put)+len(tx.Delete) < forgetBatch || commit())
	})
	if err == nil && failed == nil && ctx.Err() == nil {
		commit()
	}
	return errors.Join(err, failed)
}
