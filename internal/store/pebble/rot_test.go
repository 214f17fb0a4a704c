package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/pebble"
)

// rotFrames is how many frames and records a store has that is to rot.
const rotFrames = 300

func rotData(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat(strconv.Itoa(i), 100)) }

// rotten is a file system with a closed store, of tables and a log.
func rotten(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs, end := rotting(t)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// rotting is the same with a store that is open, as a kill leaves it.
func rotting(t *testing.T) (fs *vfs.MemFS, end func() error) {
	t.Helper()
	fs = vfs.NewMem()
	if err := fs.MkdirAll("/data", 0o700); err != nil {
		t.Fatal(err)
	}
	for part := range 3 { // each opening writes a table of what the log had
		s, err := pebble.Open(t.Context(), pebble.Config{Dir: "/data", FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		for i := part * rotFrames / 3; i < (part+1)*rotFrames/3; i++ {
			tx := store.Tx{
				Append:  []store.Append{{To: "in.a", Frame: store.Frame{Data: []byte(rotData(i)), Packets: 1}}},
				Put:     []store.Record{{Key: store.Key{In: "rot", Key: strconv.Itoa(i)}, Value: []byte(rotData(i))}},
				Durable: true,
			}
			if err := s.Commit(t.Context(), &tx); err != nil {
				t.Fatal(err)
			}
		}
		if part == 2 {
			end = s.Close
		} else if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs, end
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	file, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}

func writeFile(fs vfs.FS, path string, data []byte) error {
	file, err := fs.Create(path, "")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

// flipped gives the data with a flipped bit.
func flipped(bit int) func([]byte) []byte {
	return func(data []byte) []byte {
		data[bit/8] ^= 1 << (bit % 8)
		return data
	}
}

// copyFS copies the store, and harms one of its files.
func copyFS(t *testing.T, from vfs.FS, harmed string, harm func([]byte) []byte) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if err := to.MkdirAll("/data/store", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range list(t, from) {
		data, err := readFile(from, "/data/store/"+name)
		if err == nil && name == harmed {
			data = harm(data)
		}
		if err = errors.Join(err, writeFile(to, "/data/store/"+name, data)); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func list(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List("/data/store")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// readAll reads all of a store, and says what it has that nobody stored, what it
// lacks, and what it says about that.
func readAll(ctx context.Context, fs vfs.FS) (wrong, missing int, said string) {
	s, err := pebble.Open(ctx, pebble.Config{Dir: "/data", FS: fs})
	if err != nil {
		return 0, 2 * rotFrames, err.Error()
	}
	defer s.Close()
	frames, records := map[string]bool{}, map[string]bool{}
	note := func(err error) {
		if err != nil {
			said += err.Error() + "\n"
		}
	}
	note(s.Look(ctx, "in.a", 0, func(st store.Stored) bool { frames[string(st.Data)] = true; return true }))
	note(s.Scan(ctx, "rot", "", func(key string, value []byte) bool {
		records[string(value)] = true
		if i, err := strconv.Atoi(key); err != nil || rotData(i) != string(value) {
			wrong++
		}
		return true
	}))
	for i := range rotFrames {
		if !frames[rotData(i)] {
			missing++
		}
		delete(frames, rotData(i))
		value, ok, err := s.Get(ctx, store.Key{In: "rot", Key: strconv.Itoa(i)})
		note(err)
		if ok && string(value) != rotData(i) {
			wrong++
		}
		if !records[rotData(i)] {
			missing++
		}
	}
	_, err = s.Queues(ctx)
	note(err)
	for _, line := range s.State().Damage {
		said += line + "\n"
	}
	return wrong + len(frames), missing, said
}

// TestRotIsNamed flips bits in every kind of file of a closed store. Nothing
// wrong is read; what is missing is said, with the file; the process goes on.
func TestRotIsNamed(t *testing.T) {
	fs := rotten(t)
	kinds := map[string]int{}
	for _, name := range list(t, fs) {
		data, err := readFile(fs, "/data/store/"+name)
		if err != nil {
			t.Fatal(err)
		}
		kind := strings.TrimRight(strings.SplitN(name, "-", 2)[0], "0123456789.")
		if i := strings.LastIndex(name, "."); kind == "" && i >= 0 {
			kind = name[i:]
		}
		kinds[kind]++
		bits := rand.Perm(len(data) * 8)
		bits = bits[:min(len(bits), 150)]
		for _, bit := range bits {
			wrong, missing, said := readAll(t.Context(), copyFS(t, fs, name, flipped(bit)))
			if wrong > 0 {
				t.Errorf("%s, bit %d of %d bytes: %d frames and records were read that nobody stored", name, bit, len(data), wrong)
			}
			if missing > 0 && said == "" {
				t.Errorf("%s, bit %d of %d bytes: %d frames and records are missing, and nothing says so", name, bit, len(data), missing)
			}
			if said != "" && !strings.Contains(said, name[:min(len(name), 6)]) {
				t.Errorf("%s, bit %d of %d bytes: the file is not named: %.300s", name, bit, len(data), said)
			}
		}
	}
	t.Logf("files: %v", kinds)
}

// TestRotOfKilled cuts and flips the files of a store that was not closed, whose
// log has much: what is missing is said.
func TestRotOfKilled(t *testing.T) {
	fs, end := rotting(t)
	defer end()
	if wrong, missing, said := readAll(t.Context(), copyFS(t, fs, "", nil)); wrong > 0 || missing > 0 || said != "" {
		t.Fatalf("without any harm: %d wrong, %d missing, %q", wrong, missing, said)
	}
	for _, name := range list(t, fs) {
		data, err := readFile(fs, "/data/store/"+name)
		if err != nil {
			t.Fatal(err)
		}
		for range min(len(data), 100) {
			at := rand.IntN(len(data))
			what, harm := fmt.Sprintf("cut to %d", at), func(data []byte) []byte { return data[:at] }
			if rand.IntN(2) == 0 {
				what, harm = fmt.Sprintf("bit %d flipped", at*8+at%8), flipped(at*8+at%8)
			}
			wrong, missing, said := readAll(t.Context(), copyFS(t, fs, name, harm))
			if wrong > 0 || missing > 0 && said == "" {
				t.Errorf("%s of %d bytes, %s: %d wrong, %d missing, said %q", name, len(data), what, wrong, missing, said)
			}
		}
	}
}
