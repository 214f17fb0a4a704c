package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/testenv"
)

const dir = "/data/node"

// newDisk is one that a store was opened on.
func newDisk(t *testing.T, dir string) *Disk {
	t.Helper()
	d := New(Config{Dir: dir, Retry: time.Millisecond})
	t.Cleanup(d.Close)
	d.Opened()
	return d
}

// wantWaiting waits until a writer waits for the reason.
func wantWaiting(t *testing.T, d *Disk, want Problem, text string) {
	t.Helper()
	testenv.Eventually(t, 20*time.Second, "a writer waits", func() bool { return d.Err() != nil })
	var e *Error
	if err := d.Err(); !errors.As(err, &e) || e.Problem != want || !strings.Contains(err.Error(), text) {
		t.Errorf("the state is %v; expected %q", err, text)
	}
}

// wantDone sees that what waited has succeeded, and nothing else waits.
func wantDone(t *testing.T, d *Disk, done <-chan error) {
	t.Helper()
	if err := <-done; err != nil {
		t.Errorf("what waited ended with %v", err)
	}
	if err := d.Err(); err != nil {
		t.Errorf("nothing waits, and the state is %v", err)
	}
}

func later(op func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- op() }()
	return done
}

// A fault has one kind of operation fail while it is on.
type fault struct {
	on   atomic.Bool
	kind errorfs.OpKind
	err  error
}

func (f *fault) String() string { return "a fault" }

func (f *fault) MaybeError(op errorfs.Op) error {
	if f.on.Load() && op.Kind == f.kind {
		return &os.PathError{Op: "test", Path: op.Path, Err: f.err}
	}
	return nil
}

// TestWritersWait has each kind of operation fail with each error until that
// ends: then it has succeeded, and before that, the state says why it waits.
func TestWritersWait(t *testing.T) {
	for _, problem := range []struct {
		err     error
		problem Problem
		text    string
	}{
		{syscall.ENOSPC, Full, "the disk of /data/node is full"},
		{syscall.EDQUOT, Quota, "the quota of this user on /data/node is used up"},
		{syscall.EROFS, ReadOnly, "/data/node is read-only"},
		{syscall.EIO, Failing, "the disk of /data/node gives errors: "},
		{syscall.EMFILE, TooManyFiles, "no more files can be opened in /data/node"},
	} {
		for name, c := range operations() {
			t.Run(problem.err.Error()+" in "+name, func(t *testing.T) {
				t.Parallel()
				f := &fault{kind: c.kind, err: problem.err}
				mem := vfs.NewMem()
				d := newDisk(t, dir)
				fs := d.FS(errorfs.Wrap(mem, f))
				file, err := fs.Create("file", "")
				if err != nil {
					t.Fatal(err)
				}
				f.on.Store(true)
				done := later(func() error { return c.op(fs, file) })
				wantWaiting(t, d, problem.problem, problem.text)
				select {
				case err := <-done:
					t.Fatalf("it did not wait: %v", err)
				default:
				}
				f.on.Store(false)
				wantDone(t, d, done)
				if _, err := mem.Stat(c.made); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

type operation struct {
	kind errorfs.OpKind
	op   func(vfs.FS, vfs.File) error
	made string
}

func operations() map[string]operation {
	closed := func(f vfs.File, err error) error {
		if err != nil {
			return err
		}
		return f.Close()
	}
	return map[string]operation{
		"write": {errorfs.OpFileWrite, func(_ vfs.FS, f vfs.File) error {
			_, err := f.Write([]byte("data"))
			return err
		}, "file"},
		"write at": {errorfs.OpFileWriteAt, func(_ vfs.FS, f vfs.File) error {
			_, err := f.WriteAt([]byte("data"), 0)
			return err
		}, "file"},
		"sync":      {errorfs.OpFileSync, func(_ vfs.FS, f vfs.File) error { return f.Sync() }, "file"},
		"sync data": {errorfs.OpFileSyncData, func(_ vfs.FS, f vfs.File) error { return f.SyncData() }, "file"},
		"sync to": {errorfs.OpFileSyncTo, func(_ vfs.FS, f vfs.File) error {
			_, err := f.SyncTo(1)
			return err
		}, "file"},
		"create": {errorfs.OpCreate, func(fs vfs.FS, _ vfs.File) error { return closed(fs.Create("new", "")) }, "new"},
		"reuse":  {errorfs.OpReuseForWrite, func(fs vfs.FS, _ vfs.File) error { return closed(fs.ReuseForWrite("file", "new", "")) }, "new"},
		"rename": {errorfs.OpRename, func(fs vfs.FS, _ vfs.File) error { return fs.Rename("file", "new") }, "new"},
		"link":   {errorfs.OpLink, func(fs vfs.FS, _ vfs.File) error { return fs.Link("file", "new") }, "new"},
		"mkdir":  {errorfs.OpMkdirAll, func(fs vfs.FS, _ vfs.File) error { return fs.MkdirAll("new", 0o700) }, "new"},
	}
}

// TestOpening has a disk that fails while its store is opened: who opens learns
// of it, unless it is only full.
func TestOpening(t *testing.T) {
	f := &fault{kind: errorfs.OpCreate, err: syscall.EROFS}
	f.on.Store(true)
	d := New(Config{Dir: dir, Retry: time.Millisecond})
	fs := d.FS(errorfs.Wrap(vfs.NewMem(), f))
	_, err := fs.Create("new", "")
	var e *Error
	if !errors.As(err, &e) || e.Problem != ReadOnly || !errors.Is(err, syscall.EROFS) {
		t.Errorf("create gives %v; expected that it is read-only", err)
	}
	if d.Err() != nil {
		t.Errorf("nothing waits, and the state is %v", d.Err())
	}
	f.err = syscall.ENOSPC
	done := later(func() error { _, err := fs.Create("new", ""); return err })
	wantWaiting(t, d, Full, "is full")
	d.Close()
	<-d.Stuck()
	if err := d.Err(); !errors.As(err, &e) || e.Problem != Full {
		t.Errorf("after Close, the state is %v", err)
	}
	select {
	case err := <-done:
		t.Errorf("after Close, what waited ended with %v", err)
	default:
	}
	d.Close()
}

// TestOtherErrors are not the disk's: nobody waits.
func TestOtherErrors(t *testing.T) {
	d := newDisk(t, dir)
	fs := d.FS(vfs.NewMem())
	if err := fs.Rename("none", "new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there gives %v", err)
	}
	real, err := d.FS(vfs.Default).Create(t.TempDir()+"/file", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := real.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := real.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file gives %v", err)
	}
	if err := real.Sync(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file gives %v", err)
	}
}

// A lossy file loses what was written since its last sync when a sync fails, as
// the cache of the system does.
type lossy struct {
	vfs.File
	data, synced []byte
	broken       *atomic.Bool
	half         bool // writes at most half of what it is given while broken
}

func (l *lossy) Write(p []byte) (int, error) {
	if l.half && l.broken.Load() {
		n := len(p) / 2
		l.data = append(l.data, p[:n]...)
		return n, syscall.ENOSPC
	}
	l.data = append(l.data, p...)
	clear(p) // it is allowed to
	return len(p), nil
}

func (l *lossy) WriteAt(p []byte, off int64) (int, error) {
	end := int(off) + len(p)
	l.data = append(l.data, make([]byte, max(0, end-len(l.data)))...)
	copy(l.data[off:], p)
	clear(p)
	return len(p), nil
}

func (l *lossy) Sync() error {
	if l.broken.Load() {
		for i := len(l.synced); i < len(l.data); i++ {
			l.data[i] = 0
		}
		return syscall.EIO
	}
	l.synced = bytes.Clone(l.data)
	return nil
}

func (l *lossy) Close() error { return nil }

type lossyFS struct {
	vfs.FS
	file *lossy
}

func (f lossyFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return f.file, nil }

func newLossy(t *testing.T, name string) (*Disk, *lossy, vfs.File) {
	t.Helper()
	d, l := newDisk(t, dir), &lossy{broken: new(atomic.Bool)}
	file, err := d.FS(lossyFS{vfs.NewMem(), l}).Create(name, "")
	if err != nil {
		t.Fatal(err)
	}
	return d, l, file
}

func write(t *testing.T, file vfs.File, data string) {
	t.Helper()
	if n, err := io.WriteString(file, data); err != nil || n != len(data) {
		t.Fatalf("wrote %d bytes of %d: %v", n, len(data), err)
	}
}

// TestWhatASyncLosesIsWrittenAgain has syncs fail, which lose what was written.
func TestWhatASyncLosesIsWrittenAgain(t *testing.T) {
	d, l, file := newLossy(t, "000001.log")
	large := strings.Repeat("large", maxUnsynced/5+1)
	for _, data := range []string{"first", "second" + strings.Repeat("x", maxUnsynced/2), "third"} {
		write(t, file, data[:2])
		write(t, file, data[2:])
		l.broken.Store(true)
		done := later(file.Sync)
		wantWaiting(t, d, Failing, "gives errors")
		l.broken.Store(false)
		wantDone(t, d, done)
		if !bytes.HasSuffix(l.synced, []byte(data)) {
			t.Errorf("what was synced ends with %.40q", l.synced[len(l.synced)-len(data):])
		}
	}
	write(t, file, large) // too much to be written again, and all is well
	if err := file.Sync(); err != nil || !bytes.HasSuffix(l.synced, []byte(large)) {
		t.Errorf("sync: %v", err)
	}
	write(t, file, "fourth")
	l.broken.Store(true)
	done := later(file.Sync)
	wantWaiting(t, d, Failing, "gives errors")
	l.broken.Store(false)
	wantDone(t, d, done)
	if !bytes.HasSuffix(l.synced, []byte(large+"fourth")) {
		t.Error("what was written after a successful sync is lost")
	}
}

// TestWhatCannotBeWrittenAgain is never said to be synced.
func TestWhatCannotBeWrittenAgain(t *testing.T) {
	large := strings.Repeat("x", maxUnsynced+1)
	t.Run("log", func(t *testing.T) {
		d, l, file := newLossy(t, "000001.log")
		write(t, file, large)
		l.broken.Store(true)
		done := later(file.Sync)
		wantWaiting(t, d, Failing, "start the node again")
		l.broken.Store(false)
		d.freed()
		d.Close()
		<-d.Stuck()
		var e *Error
		if err := d.Err(); !errors.As(err, &e) || !e.Lost {
			t.Errorf("the state is %v", err)
		}
		select {
		case err := <-done:
			t.Errorf("the sync gave %v", err)
		default:
		}
	})
	t.Run("table", func(t *testing.T) {
		_, l, file := newLossy(t, "000001.sst")
		write(t, file, large)
		l.broken.Store(true)
		if err := file.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("the sync gave %v", err)
		}
	})
}

// TestPartOfAWrite goes on where a write that failed has ended.
func TestPartOfAWrite(t *testing.T) {
	d, l, file := newLossy(t, "000001.log")
	l.half = true
	l.broken.Store(true)
	done := later(func() error {
		_, err := io.WriteString(file, "0123456789abcdef")
		return err
	})
	wantWaiting(t, d, Full, "is full")
	l.broken.Store(false)
	wantDone(t, d, done)
	if string(l.data) != "0123456789abcdef" {
		t.Errorf("the file has %q", l.data)
	}
}

// TestAFolderIsSyncedBySeveral: the engine does so when a compaction ends while it writes
// another table. It is for the race detector.
func TestAFolderIsSyncedBySeveral(t *testing.T) {
	dir, err := newDisk(t, dir).FS(vfs.Default).OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			for range 20 {
				if err := dir.Sync(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// TestFence has nothing of the engine written or removed after another has taken the folder.
func TestFence(t *testing.T) {
	inner := vfs.NewMem()
	d := newDisk(t, dir)
	fs := d.FS(inner)
	before, err := fs.Create("log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	d.Fence(errors.New("another has it"))
	for name, op := range map[string]func() error{
		"create": func() error { _, err := fs.Create("new", vfs.WriteCategoryUnspecified); return err },
		"remove": func() error { return fs.Remove("log") },
		"write":  func() error { _, err := before.Write([]byte("after")); return err },
		"sync":   before.Sync,
		"large":  func() error { return d.Try(t.Context(), func() error { return inner.Remove("log") }) },
	} {
		done := later(op)
		wantWaiting(t, d, Taken, "/data/node is not this node's any more: another has it")
		select {
		case err := <-done:
			t.Errorf("%s: %v; expected it to wait", name, err)
		default:
		}
	}
	d.Close()
	<-d.Stuck()
	if info, err := inner.Stat("log"); err != nil || info.Size() != int64(len("before")) {
		t.Errorf("the file: %v, %v", info, err)
	}
	if names, err := inner.List(""); err != nil || len(names) != 1 {
		t.Errorf("the folder: %q, %v", names, err)
	}
}
