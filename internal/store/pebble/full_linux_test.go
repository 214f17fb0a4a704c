package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/disk"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
)

const long = 20 * time.Second

// smallDisk is a folder on a file system of that many MiB.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
		testenv.Lacks(t, "a small disk", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fillDisk takes all that is left of a disk.
func fillDisk(t *testing.T, dir string) (filler string) {
	t.Helper()
	filler = filepath.Join(dir, "filler")
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return filler
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// plenty has the floor of free space out of the way.
func plenty() (int64, int64, error) { return 1 << 40, 1 << 40, nil }

func open(t *testing.T, ctx context.Context, dir string) (*pebble.Store, error) {
	t.Helper()
	d := disk.New(disk.Config{Dir: dir, Retry: time.Millisecond})
	s, err := pebble.Open(ctx, pebble.Config{Dir: dir, Free: plenty, Disk: d})
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func appendFrame(ctx context.Context, s store.Store, data string) error {
	f := store.Frame{Data: []byte(data), Packets: 1}
	return s.Commit(ctx, &store.Tx{Append: []store.Append{{To: "in.a", Frame: f}}, Durable: true})
}

func isFull(err error) bool {
	var why *disk.Error
	return errors.As(err, &why) && why.Problem == disk.Full
}

func frames(t *testing.T, s store.Store) map[string]int {
	t.Helper()
	seen := map[string]int{}
	err := s.Look(t.Context(), "in.a", 0, func(st store.Stored) bool { seen[string(st.Data)]++; return true })
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// TestOpenOnAFullDisk waits for room, or until who opens it gives up.
func TestOpenOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 32)
	s, err := open(t, t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := appendFrame(t.Context(), s, "before"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	filler := fillDisk(t, dir)
	d := disk.New(disk.Config{Dir: dir, Retry: time.Millisecond})
	type result struct {
		s   *pebble.Store
		err error
	}
	opened := make(chan result, 1)
	go func() {
		s, err := pebble.Open(t.Context(), pebble.Config{Dir: dir, Free: plenty, Disk: d})
		opened <- result{s, err}
	}()
	testenv.Eventually(t, long, "it waits", func() bool { return isFull(d.Err()) })
	remove(t, filler)
	r := <-opened
	if r.err != nil {
		t.Fatal(r.err)
	}
	if got := frames(t, r.s); got["before"] != 1 {
		t.Errorf("it has the frames %v", got)
	}
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}

	fillDisk(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	d = disk.New(disk.Config{Dir: dir, Retry: time.Millisecond})
	go func() {
		s, err := pebble.Open(ctx, pebble.Config{Dir: dir, Free: plenty, Disk: d})
		opened <- result{s, err}
	}()
	testenv.Eventually(t, long, "it waits", func() bool { return isFull(d.Err()) })
	cancel()
	if r := <-opened; !isFull(r.err) {
		t.Errorf("whoever gave up got %v", r.err)
	}
}

// TestFullDisk fills the disk of a store at work: what is under way waits, what
// comes is refused, what is there can be read, and all goes on with room.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, 64)
	s, err := open(t, t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]bool{}
	for round := range 4 {
		filler := fillDisk(t, dir)
		results := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for i := 0; ; i++ {
				data := fmt.Sprintf("%d-%d %s", round, i, bytes.Repeat([]byte("x"), 100<<10))
				err := appendFrame(ctx, s, data)
				if err != nil {
					results <- err
					return
				}
				taken[data] = true
			}
		}()
		testenv.Eventually(t, long, "it is full", func() bool { return isFull(s.State().Err) && errors.Is(s.State().Err, store.ErrBroken) })
		if err := appendFrame(t.Context(), s, "refused"); !errors.Is(err, store.ErrBroken) || !isFull(err) {
			t.Errorf("a commit on a full disk gave %v", err)
		}
		cancel()
		if err := <-results; !errors.Is(err, store.ErrBroken) || errors.Is(err, context.Canceled) {
			t.Errorf("whoever gave up a commit that was under way got %v", err)
		}
		seen := frames(t, s)
		for data := range taken {
			if seen[data] != 1 {
				t.Errorf("%.20s is there %d times", data, seen[data])
			}
		}
		remove(t, filler)
		testenv.Eventually(t, long, "it goes on", func() bool { return s.State().Err == nil })
		if err := appendFrame(t.Context(), s, "after "+strconv.Itoa(round)); err != nil {
			t.Errorf("with room, a commit gave %v", err)
		}
		taken["after "+strconv.Itoa(round)] = true
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = open(t, t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	seen := frames(t, s)
	if seen["refused"] > 0 {
		t.Error("what was refused is there")
	}
	for data := range taken {
		if seen[data] != 1 {
			t.Errorf("opened again, %.20s is there %d times", data, seen[data])
		}
	}
}

// TestFullDiskFlush fills the disk while tables are written and merged.
func TestFullDiskFlush(t *testing.T) {
	dir := smallDisk(t, 96)
	s, err := open(t, t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	put := func(i int) error {
		value := make([]byte, 512<<10)
		for k := range value {
			value[k] = byte(i * (k + 3) >> 4)
		}
		return s.Commit(t.Context(), &store.Tx{Put: []store.Record{{Key: store.Key{In: "large", Key: strconv.Itoa(i % 16)}, Value: value}}})
	}
	for range 2 {
		filler := fillDisk(t, dir)
		done := make(chan error, 1)
		go func() {
			for i := range 120 {
				if err := put(i); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		testenv.Eventually(t, long, "it is full", func() bool { return isFull(s.State().Err) })
		remove(t, filler)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i := 104; i < 120; i++ {
		value, ok, err := s.Get(t.Context(), store.Key{In: "large", Key: strconv.Itoa(i % 16)})
		if err != nil || !ok || value[1] != byte(i*4>>4) || value[len(value)-1] != byte(i*(len(value)+2)>>4) {
			t.Errorf("record %d: %d bytes, %v, %v", i, len(value), ok, err)
		}
	}
}

// TestCloseOnAFullDisk ends, and loses nothing that was durable.
func TestCloseOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 32)
	s, err := open(t, t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := appendFrame(t.Context(), s, "durable"); err != nil {
		t.Fatal(err)
	}
	filler := fillDisk(t, dir)
	results := make(chan error, 8)
	for i := range 8 {
		go func() {
			var err error
			for err == nil {
				err = appendFrame(t.Context(), s, fmt.Sprint(i, string(make([]byte, 10<<10))))
			}
			results <- err
		}()
	}
	testenv.Eventually(t, long, "it is full", func() bool { return isFull(s.State().Err) })
	if err := s.Close(); !errors.Is(err, store.ErrBroken) {
		t.Errorf("close gave %v", err)
	}
	for range 8 {
		if err := <-results; !errors.Is(err, store.ErrBroken) && !errors.Is(err, store.ErrClosed) {
			t.Errorf("a commit gave %v", err)
		}
	}
	if _, err := s.Pull(t.Context(), "in.a", 1); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a pull after close gave %v", err)
	}
	remove(t, filler)
	// The engine has the folder's lock until the process ends.
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if s, err = open(t, t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if got := frames(t, s); got["durable"] != 1 {
		t.Error("what was durable is lost")
	}
}

// TestReadOnlyFolder is refused when it is opened.
func TestReadOnlyFolder(t *testing.T) {
	dir := smallDisk(t, 32)
	s, err := open(t, t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(appendFrame(t.Context(), s, "durable"), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "size=32m"); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, t.Context(), dir)
	var why *disk.Error
	if !errors.As(err, &why) || why.Problem != disk.ReadOnly {
		t.Errorf("the error is %v; expected that it is read-only", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	if s, err = open(t, t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if got := frames(t, s); got["durable"] != 1 {
		t.Error("what was durable is lost")
	}
}
