package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/disk"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

const limit = 1 << 20

// open opens blobs in dir as a node does that has swept it.
func open(t *testing.T, dir string) *Store {
	t.Helper()
	s := Open(Config{Dir: dir, Sync: true})
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, data string) packet.Blob {
	t.Helper()
	b, err := s.Put(t.Context(), strings.NewReader(data), limit)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func drop(t *testing.T, s *Store, b packet.Blob) {
	t.Helper()
	if err := s.Drop(b.Sum); err != nil {
		t.Error(err)
	}
}

// read reads a blob to its end.
func read(s *Store, b packet.Blob) (string, error) {
	file, err := s.Open(b)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(packet.Verify(b, file))
	return string(data), err
}

func wantData(t *testing.T, s *Store, b packet.Blob, want string) {
	t.Helper()
	got, err := read(s, b)
	if err != nil || got != want {
		t.Errorf("it reads %d bytes, %v; expected %d", len(got), err, len(want))
	}
}

// wantFiles says how many files lie in dir, those that are not finished
// included.
func wantFiles(t *testing.T, dir string, want int) {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(found) != want {
		t.Errorf("files %v; expected %d", found, want)
	}
}

func TestPut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	s := open(t, dir)
	for _, data := range []string{"", "x", strings.Repeat("galaxy", 50_000), strings.Repeat("x", limit)} {
		b := put(t, s, data)
		if b.Size != int64(len(data)) || b.Sum != sha256.Sum256([]byte(data)) {
			t.Errorf("%d bytes are %+v", len(data), b)
		}
		wantData(t, s, b, data)
		drop(t, s, b)
		if _, err := s.Open(b); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after the last drop it opens: %v", err)
		}
	}
	wantFiles(t, dir, 0)
}

func TestTheSameContentLiesOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	one, two := put(t, s, "Mars"), put(t, s, "Mars")
	if one != two {
		t.Errorf("%+v and %+v", one, two)
	}
	wantFiles(t, dir, 1)
	wantUsed(t, s, 4)
	drop(t, s, one)
	wantData(t, s, two, "Mars")
	wantUsed(t, s, 4)
	drop(t, s, two)
	wantFiles(t, dir, 0)
	wantUsed(t, s, 0)
}

func TestHolders(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := put(t, s, "Mars")
	s.Hold(b.Sum)
	s.Hold(b.Sum)
	for range 2 {
		drop(t, s, b)
		wantData(t, s, b, "Mars")
	}
	file, err := s.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	drop(t, s, b)
	wantFiles(t, dir, 0)
	if data, err := io.ReadAll(packet.Verify(b, file)); err != nil || string(data) != "Mars" {
		t.Errorf("who has it open reads %q, %v", data, err)
	}
}

func TestNothingStaysOfWhatCannotBeTaken(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	torn := errors.New("the cable was pulled")
	half := func() io.Reader { return strings.NewReader(strings.Repeat("x", limit/2)) }
	for _, c := range []struct {
		name   string
		ctx    context.Context
		source io.Reader
		want   error
	}{
		{"a byte too much", t.Context(), strings.NewReader(strings.Repeat("x", limit+1)), store.ErrTooLarge},
		{"without end", t.Context(), endless{}, store.ErrTooLarge},
		{"a source that fails", t.Context(), io.MultiReader(half(), iotest.ErrReader(torn)), torn},
		{"a source that fails at once", t.Context(), iotest.ErrReader(torn), torn},
		{"a sender that has gone", gone, half(), context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			_, err := s.Put(c.ctx, c.source, limit)
			if !errors.Is(err, c.want) {
				t.Errorf("the error is %v; expected %v", err, c.want)
			}
			if errors.Is(err, store.ErrBroken) {
				t.Errorf("%v blames the disk", err)
			}
			wantFiles(t, dir, 0)
			wantUsed(t, s, 0)
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestAFullDisk has a blob wait for room, until there is some.
func TestAFullDisk(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	d := disk.New(disk.Config{Dir: dir, Retry: time.Millisecond})
	d.Opened()
	s := Open(Config{Dir: filepath.Join(dir, "blobs"), Sync: true, Disk: d})
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	kept, first := put(t, s, "Mars"), put(t, s, strings.Repeat("x", 700<<10))
	type result struct {
		b   packet.Blob
		err error
	}
	later := func(ctx context.Context) <-chan result {
		done := make(chan result, 1)
		go func() {
			b, err := s.Put(ctx, strings.NewReader(strings.Repeat("y", limit/2)), limit)
			done <- result{b, err}
		}()
		testenv.Eventually(t, 20*time.Second, "it waits", func() bool { return d.Err() != nil })
		return done
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := later(ctx)
	cancel()
	var why *disk.Error
	r := <-done
	if !errors.Is(r.err, context.Canceled) || !errors.Is(r.err, store.ErrBroken) || !errors.As(r.err, &why) || why.Problem != disk.Full {
		t.Errorf("whoever gave up got %v", r.err)
	}
	wantFiles(t, dir, 2)
	wantUsed(t, s, 4+700<<10)

	done = later(t.Context())
	wantData(t, s, kept, "Mars") // nobody else waits for it
	drop(t, s, first)
	if r := <-done; r.err != nil {
		t.Error(r.err)
	} else {
		wantData(t, s, r.b, strings.Repeat("y", limit/2))
	}
	wantUsed(t, s, 4+limit/2)

	full := later(t.Context()) // 4 bytes and two halves are more than there is
	d.Close()
	if r := <-full; !errors.Is(r.err, store.ErrBroken) {
		t.Errorf("when the store closed, it got %v", r.err)
	}
	wantFiles(t, dir, 2)
	wantUsed(t, s, 4+limit/2)
}

// wantUsed says how much the blobs take.
func wantUsed(t *testing.T, s *Store, want int64) {
	t.Helper()
	if got := s.Used(); got != want {
		t.Errorf("%d bytes are used; expected %d", got, want)
	}
}

func TestAFolderThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := Open(Config{Dir: filepath.Join(path, "blobs")})
	if _, err := s.Put(t.Context(), strings.NewReader("x"), limit); !errors.Is(err, store.ErrBroken) {
		t.Errorf("the error is %v; expected %v", err, store.ErrBroken)
	}
}

func TestSweepAfterARestart(t *testing.T) {
	dir := t.TempDir()
	before := open(t, dir)
	held, dropped, left := put(t, before, "held"), put(t, before, "dropped"), put(t, before, "left")
	if err := os.WriteFile(filepath.Join(dir, "new-123"), []byte("half of"), 0o600); err != nil {
		t.Fatal(err)
	}

	s := Open(Config{Dir: dir, Sync: true})
	if any, err := s.Any(); !any || err != nil {
		t.Errorf("there are blobs: %v, %v", any, err)
	}
	wantUsed(t, s, int64(len("held"+"dropped"+"left"+"half of")))
	s.Hold(held.Sum)
	s.Hold(dropped.Sum)
	drop(t, s, dropped) // a frame that nobody has looked at may name it as well
	wantData(t, s, dropped, "dropped")
	wantFiles(t, dir, 4)
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, 1)
	wantUsed(t, s, int64(len("held")))
	wantData(t, s, held, "held")
	if _, err := s.Open(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what nobody holds opens: %v", err)
	}
	drop(t, s, held)
	wantFiles(t, dir, 0)
	if any, err := Open(Config{Dir: dir}).Any(); any || err != nil {
		t.Errorf("an emptied folder has blobs: %v, %v", any, err)
	}
}

// TestSweepLeavesWhatIsBeingWritten has a blob half written when the sweep
// comes.
func TestSweepLeavesWhatIsBeingWritten(t *testing.T) {
	dir := t.TempDir()
	s := Open(Config{Dir: dir, Sync: true})
	source, sink := io.Pipe()
	type result struct {
		b   packet.Blob
		err error
	}
	done := make(chan result, 1)
	go func() {
		b, err := s.Put(context.Background(), source, limit)
		done <- result{b, err}
	}()
	sink.Write([]byte("Ma")) // returns when it was read
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	sink.Write([]byte("rs"))
	sink.Close()
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	wantData(t, s, got.b, "Mars")
	drop(t, s, got.b)
	wantFiles(t, dir, 0)
}

func TestRotIsFound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	data := strings.Repeat("galaxy", 1000)
	b := put(t, s, data)
	path := s.path(b.Sum)
	for _, c := range []struct {
		name string
		rot  func([]byte) []byte
	}{
		{"a flipped bit", func(d []byte) []byte { d[4000] ^= 4; return d }},
		{"the last bit", func(d []byte) []byte { d[len(d)-1] ^= 1; return d }},
		{"a byte less", func(d []byte) []byte { return d[:len(d)-1] }},
		{"a byte more", func(d []byte) []byte { return append(d, 'x') }},
		{"empty", func([]byte) []byte { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, c.rot([]byte(data)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := read(s, b); err == nil {
				t.Error("it reads as if nothing had happened")
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := read(s, b); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the error is %v", err)
		}
		drop(t, s, b) // is no error
	})
}

// TestPutAndDropOfTheSameContent has many put, read and drop one content.
func TestPutAndDropOfTheSameContent(t *testing.T) {
	dir := t.TempDir()
	s := Open(Config{Dir: dir})
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("galaxy"), 100)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				b, err := s.Put(t.Context(), bytes.NewReader(data), limit)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := read(s, b); err != nil || got != string(data) {
					t.Errorf("while it is held it reads %d bytes, %v", len(got), err)
				}
				drop(t, s, b)
			}
		})
	}
	group.Wait()
	wantFiles(t, dir, 0)
	wantUsed(t, s, 0)
}

func TestAFolderOfItsOwn(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := Open(Config{})
	if any, err := s.Any(); any || err != nil {
		t.Errorf("there are blobs: %v, %v", any, err)
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	b := put(t, s, "Mars")
	wantData(t, s, b, "Mars")
	wantFiles(t, os.TempDir(), 1)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	wantFiles(t, os.TempDir(), 0)
	if err := Open(Config{}).Close(); err != nil {
		t.Error(err)
	}
}

// needDisk ends a test that cannot have a disk of its own.
func needDisk(t *testing.T, why error) { testenv.Lacks(t, "a small disk", why) }
