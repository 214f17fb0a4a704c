package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/testenv"
)

// mount is a folder on a file system of its own, made with those options.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		testenv.Lacks(t, "a disk of its own", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill takes all bytes of a disk, with one file.
func fill(t *testing.T, dir string) (filler string) {
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

func create(fs vfs.FS, path string) func() error {
	return func() error {
		file, err := fs.Create(path, "")
		if err != nil {
			return err
		}
		_, err = file.Write(make([]byte, 64<<10))
		return errors.Join(err, file.Sync(), file.Close())
	}
}

func TestNoBytes(t *testing.T) {
	dir := mount(t, "size=1m")
	d := newDisk(t, dir)
	filler := fill(t, dir)
	done := later(create(d.FS(vfs.Default), filepath.Join(dir, "file")))
	wantWaiting(t, d, Full, "the disk of "+dir+" is full")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	wantDone(t, d, done)
	if info, err := os.Stat(filepath.Join(dir, "file")); err != nil || info.Size() != 64<<10 {
		t.Errorf("the file is %+v, %v", info, err)
	}
}

func TestNoInodes(t *testing.T) {
	dir := mount(t, "size=10m,nr_inodes=10")
	d := newDisk(t, dir)
	var err error
	n := 0
	for ; err == nil; n++ {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	fs := d.FS(vfs.Default)
	done := later(create(fs, filepath.Join(dir, "file")))
	wantWaiting(t, d, NoInodes, "the disk of "+dir+" has no inodes left (df -i)")
	if err := fs.Remove(filepath.Join(dir, "0")); err != nil {
		t.Fatal(err)
	}
	wantDone(t, d, done)
}

func TestReadOnly(t *testing.T) {
	dir := mount(t, "size=1m")
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, "size=1m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	d := New(Config{Dir: dir, Retry: time.Millisecond})
	t.Cleanup(d.Close)
	fs := d.FS(vfs.Default)
	op := create(fs, filepath.Join(dir, "file"))
	if err := op(); err == nil || err.Error() != dir+" is read-only" {
		t.Errorf("before the store is open, the error is %v", err)
	}
	d.Opened()
	done := later(op)
	wantWaiting(t, d, ReadOnly, dir+" is read-only")
	remount(0)
	wantDone(t, d, done)
}

func TestWriter(t *testing.T) {
	dir := mount(t, "size=1m")
	d := newDisk(t, dir)
	filler := fill(t, dir)
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancel(t.Context())
	write := func() error {
		n, err := d.Writer(ctx, file).Write(make([]byte, 100<<10))
		if err == nil && n != 100<<10 {
			return fmt.Errorf("%d bytes were written", n)
		}
		return err
	}
	done := later(write)
	wantWaiting(t, d, Full, "is full")
	cancel()
	var e *Error
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.As(err, &e) {
		t.Errorf("it ended with %v", err)
	}
	ctx = t.Context()
	done = later(write)
	wantWaiting(t, d, Full, "is full")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	wantDone(t, d, done)
}

// A logger is the engine's, as the store has it.
type logger struct {
	t     *testing.T
	fatal chan string
}

func (l *logger) Infof(string, ...any) {}

func (l *logger) Errorf(format string, args ...any) { l.t.Logf(format, args...) }

func (l *logger) Fatalf(format string, args ...any) {
	l.fatal <- fmt.Sprintf(format, args...)
	select {}
}

func openEngine(t *testing.T, d *Disk, dir string) (*engine.DB, *logger) {
	t.Helper()
	l := &logger{t, make(chan string, 10)}
	db, err := engine.Open(filepath.Join(dir, "store"), &engine.Options{
		FS: d.FS(vfs.Default), Logger: l, MemTableSize: 256 << 10, FormatMajorVersion: engine.FormatNewest,
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, l
}

// TestEngine fills the disk of an engine at work: what it writes waits, in the
// log, in flushes and in compactions, and all is there in the end.
func TestEngine(t *testing.T) {
	dir := mount(t, "size=24m")
	d := newDisk(t, dir)
	db, _ := openEngine(t, d, dir)
	const rounds, each = 6, 100
	value := func(i int) []byte {
		v := make([]byte, 8<<10)
		for k := range v {
			v[k] = byte(i * (k + 7) >> 3)
		}
		return v
	}
	for round := range rounds {
		filler := fill(t, dir)
		done := later(func() error {
			for i := range each {
				key := fmt.Appendf(nil, "%d", (round*each+i)%250)
				if err := db.Set(key, value(i), engine.Sync); err != nil {
					return err
				}
			}
			return db.Compact(t.Context(), []byte("0"), []byte("9"), false)
		})
		wantWaiting(t, d, Full, "is full")
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		wantDone(t, d, done)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, _ = openEngine(t, newDisk(t, dir), dir)
	defer db.Close()
	for i := (rounds - 1) * each; i < rounds*each; i++ {
		got, closer, err := db.Get(fmt.Appendf(nil, "%d", i%250))
		if err != nil || string(got) != string(value(i%each)) {
			t.Fatalf("record %d: %d bytes, %v", i, len(got), err)
		}
		closer.Close()
	}
}

// TestEngineEnds has a store close while the engine waits: that does
// not end the process, and what was durable is there for the next.
func TestEngineEnds(t *testing.T) {
	dir := mount(t, "size=4m")
	d := New(Config{Dir: dir, Retry: time.Millisecond})
	db, l := openEngine(t, d, dir)
	d.Opened()
	if err := db.Set([]byte("durable"), []byte("yes"), engine.Sync); err != nil {
		t.Fatal(err)
	}
	filler := fill(t, dir)
	go func() {
		for i := 0; ; i++ {
			if err := db.Set(fmt.Appendf(nil, "waits %d", i), make([]byte, 4<<10), engine.Sync); err != nil {
				l.fatal <- "an error, which the engine should not give: " + err.Error()
			}
		}
	}()
	wantWaiting(t, d, Full, "is full")
	d.Close()
	<-d.Stuck()
	select {
	case said := <-l.fatal:
		t.Errorf("the engine said %q", said)
	default:
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	// The engine has the folder's lock until the process ends.
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	db, _ = openEngine(t, newDisk(t, copied), copied)
	defer db.Close()
	got, closer, err := db.Get([]byte("durable"))
	if err != nil || string(got) != "yes" {
		t.Fatalf("what was durable is %q, %v", got, err)
	}
	closer.Close()
}
