package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

// A sample is a store's folder and what rests in it.
type sample struct {
	dir   string
	want  map[string]store.Place // frames that are there
	acked map[string]bool        // frames that were, and may come again
}

// newSample makes a folder; the store in it was closed, or, with killed,
// copied while it was open.
func newSample(t *testing.T, killed bool) sample {
	t.Helper()
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	sm := sample{dir: dir, want: map[string]store.Place{}, acked: map[string]bool{}}
	for i := range 60 {
		at := []store.Place{greet, "wait.Text.RAW"}[i%2]
		data := fmt.Sprintf("%d %s.", i, strings.Repeat(string(rune('a'+i%26)), rand.IntN(2000)))
		add(t, s, at, data)
		sm.want[data] = at
	}
	for range 12 {
		l := pullOne(t, s, greet)
		if rand.IntN(2) == 0 {
			_ = l.Ack()
			delete(sm.want, string(l.Data()))
			sm.acked[string(l.Data())] = true
		}
	}
	if _, err := s.Places(t.Context()); err != nil { // the acknowledgements are done
		t.Fatal(err)
	}
	if killed {
		sm.dir = copyDir(t, dir)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return sm
}

func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// files are all files of a store but locks.
func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if ok, _ := filepath.Match(pattern, e.Name()); ok && err == nil && e.Type().IsRegular() && e.Name() != ".lock" {
			all = append(all, path)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return all
}

// survives opens a damaged folder: every frame comes unharmed, or the store
// says what is broken. It returns how many frames are missing.
func (sm sample) survives(t *testing.T, dir, what string) (missing int) {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Logf("%s: open: %v", what, err)
		return 0
	}
	defer s.Close()
	left := map[string]store.Place{}
	for data, at := range sm.want {
		left[data] = at
	}
	for _, at := range []store.Place{greet, "wait.Text.RAW"} {
		for sm.rests(t, s, at) {
			ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
			leases, err := s.Pull(ctx, at, 32)
			cancel()
			if err != nil {
				t.Errorf("%s: what rests in %s does not come: %v", what, at, err)
				break
			}
			for _, l := range leases {
				data := string(l.Data())
				if left[data] != at && !sm.acked[data] {
					t.Errorf("%s: got from %s what was not there (any more): %.40q", what, at, data)
				}
				delete(left, data)
				_ = l.Ack()
			}
		}
	}
	damage := s.State().Damage
	if len(left) > 0 && len(damage) == 0 {
		t.Errorf("%s: %d frames are lost without a word", what, len(left))
	}
	add(t, s, greet, "goes on")
	return len(left)
}

func (sm sample) rests(t *testing.T, s *Store, at store.Place) bool {
	t.Helper()
	counts, err := s.Places(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(counts, func(c store.Count) bool { return c.Place == at })
}

// TestBitFlips turns single bits in block files: one frame is lost at most.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		sm := newSample(t, killed)
		began := time.Now()
		if n := sm.survives(t, copyDir(t, sm.dir), "nothing is damaged"); n > 0 {
			t.Fatalf("%d frames are missing without damage (killed=%v)", n, killed)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v until all that was leased came again (killed=%v)", took, killed)
		}
		for range 25 {
			dir := copyDir(t, sm.dir)
			blocks := files(t, dir, "*.blk")
			path := blocks[rand.IntN(len(blocks))]
			what := flip(t, path)
			report, err := Check(dir, nil)
			if err != nil || report.Damaged() == 0 {
				t.Errorf("%s: check finds nothing: %v", what, err)
			}
			if n := sm.survives(t, dir, what); n > 1 {
				t.Errorf("%s: %d frames are lost by one bit", what, n)
			}
		}
	}
}

func flip(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := rand.IntN(len(data))
	if rand.IntN(2) == 0 {
		at %= 60 // lengths and numbers are where it hurts
	}
	data[at] ^= 1 << rand.IntN(8)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("a bit in byte %d of %s", at, path[strings.Index(path, "streams"):])
}

// TestCutFiles cuts, empties or removes any file of the store.
func TestCutFiles(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		sm := newSample(t, killed)
		for i, path := range files(t, sm.dir, "*") {
			name, err := filepath.Rel(sm.dir, path)
			if err != nil {
				t.Fatal(err)
			}
			for _, how := range []string{"cut", "emptied", "removed"} {
				if how == "removed" && strings.HasSuffix(name, ".blk") && killed {
					continue // nothing is left that knows of it
				}
				dir := copyDir(t, sm.dir)
				path := filepath.Join(dir, name)
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				what := fmt.Sprintf("%d: %s %s (killed=%v)", i, name, how, killed)
				switch {
				case how == "removed":
					err = os.Remove(path)
				case how == "emptied":
					err = os.Truncate(path, 0)
				case info.Size() > 1:
					err = os.Truncate(path, 1+rand.Int64N(info.Size()-1))
				}
				if err != nil {
					t.Fatal(err)
				}
				if n := sm.survives(t, dir, what); n > 0 {
					t.Logf("%s: %d frames lost, and told", what, n)
				}
			}
		}
	}
}

// TestCheck counts what is there, asks the caller about each frame, and reads
// them.
func TestCheck(t *testing.T) {
	sm := newSample(t, false)
	bad := ""
	for data := range sm.want {
		bad = data
	}
	report, err := Check(sm.dir, func(frame []byte) error {
		if bytes.Equal(frame, []byte(bad)) {
			return fmt.Errorf("is not to my taste")
		}
		return nil
	})
	frames := 0
	for _, st := range report.Streams {
		frames += st.Frames
		for _, d := range st.Damage {
			if !strings.Contains(d.String(), "taste") {
				t.Errorf("damage: %s", d)
			}
		}
	}
	if err != nil || frames != len(sm.want) || report.Damaged() != 1 {
		t.Errorf("%d frames, %d damaged, %v; expected %d, 1", frames, report.Damaged(), err, len(sm.want))
	}
	read := 0
	err = Frames(sm.dir, func(f Stored) error {
		read++
		if sm.want[string(f.Data)] != f.Place || f.Packets != 3 || time.Since(f.Since) > time.Minute || f.Number == 0 {
			t.Errorf("read %s %d with %d packets of %v: %.20q", f.Place, f.Number, f.Packets, f.Since, f.Data)
		}
		return nil
	})
	if err != nil || read != frames {
		t.Errorf("read %d frames, %v; expected %d", read, err, frames)
	}
	if report, err := Check(t.TempDir(), nil); err != nil || len(report.Streams) > 0 {
		t.Errorf("an empty folder: %+v, %v", report, err)
	}
}

// TestNoFalseAlarm copies a store while it is used, as a kill would leave it,
// and opens the copies: nothing is said to be broken.
func TestNoFalseAlarm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	for round := range 12 {
		for i := range round % 4 * 5 {
			add(t, s, greet, fmt.Sprint(round, i, strings.Repeat("x", i*100)))
		}
		for range rand.IntN(len(restsIn(t, s, greet)) + 1) {
			l := pullOne(t, s, greet)
			if rand.IntN(4) > 0 {
				_ = l.Ack()
			} else {
				_ = l.Release(0)
			}
		}
		if round%3 == 2 { // nothing is left
			for _, number := range restsIn(t, s, greet) {
				if err := s.Remove(t.Context(), greet, number); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := len(restsIn(t, s, greet))
		again, err := Open(t.Context(), Config{Dir: copyDir(t, dir)})
		if err != nil {
			t.Fatal(err)
		}
		if d := again.State().Damage; len(d) > 0 {
			t.Errorf("round %d: damage %q", round, d)
		}
		if got := len(restsIn(t, again, greet)); got != want {
			t.Errorf("round %d: %d frames; expected %d", round, got, want)
		}
		for range want {
			_ = pullOne(t, again, greet).Ack()
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// restsIn are the numbers of the frames in a place.
func restsIn(t *testing.T, s *Store, at store.Place) (numbers []uint64) {
	t.Helper()
	err := s.Look(t.Context(), at, 0, func(r store.Resting) bool {
		numbers = append(numbers, r.Number)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbers
}

// TestDescriptionLost breaks the description of a stream, without which the
// server leaves it out: its frames are stored again, under new numbers.
func TestDescriptionLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	for i := range 10 {
		add(t, s, greet, fmt.Sprint(i))
	}
	for range 4 {
		_ = pullOne(t, s, greet).Ack()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(streamsDir(dir), layout.StreamName(greet), "meta.inf"), 10); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		s = open(t, Config{Dir: dir})
		if d := s.State().Damage; len(d) > 0 != (round == 0) {
			t.Errorf("round %d: damage %q", round, d)
		}
		numbers := restsIn(t, s, greet)
		if len(numbers) != 6+round || numbers[0] != 11 {
			t.Errorf("round %d: frames %d; expected %d from 11 on", round, numbers, 6+round)
		}
		add(t, s, greet, "goes on")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBlockJustMade has a node killed when the server had made a block for what comes
// after frames that had all ended. If they had not, an empty block is one that was cut.
func TestBlockJustMade(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	for i := range 3 {
		add(t, s, greet, fmt.Sprint(i))
	}
	killed := copyDir(t, dir)
	blocks := files(t, killed, "*.blk")
	if len(blocks) != 1 || filepath.Base(blocks[0]) != "1.blk" {
		t.Fatalf("the blocks are %v", blocks)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(blocks[0]), "2.blk"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := func(expect int) {
		t.Helper()
		report, err := Check(killed, nil)
		if err != nil || report.Damaged() != expect {
			t.Errorf("the check says %+v, %v; expected %d damaged", report, err, expect)
		}
		s := open(t, Config{Dir: copyDir(t, killed)})
		if told := s.State().Damage; len(told) != expect {
			t.Errorf("the store says %q; expected %d damaged", told, expect)
		}
		for i := range 3 {
			if l := pullOne(t, s, greet); string(l.Data()) != fmt.Sprint(i) {
				t.Errorf("frame %d is %q", i, l.Data())
			}
		}
	}
	damaged(1)
	for i := range 3 {
		if err := pullOne(t, s, greet).Ack(); err != nil {
			t.Fatal(err)
		}
		if i == 1 { // one has not ended
			copyTally(t, dir, killed)
			damaged(1)
		}
	}
	copyTally(t, dir, killed)
	damaged(0)
}

// TestStreamJustMade has a node killed while the server made a stream, or before it
// wrote the first frame into it. Once there was a frame, that is damage.
func TestStreamJustMade(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	add(t, s, greet, "there")
	for _, broken := range []func(at string) error{
		func(at string) error { return os.RemoveAll(filepath.Join(at, "msgs")) },
		func(at string) error { return os.Truncate(filepath.Join(at, "msgs", "1.blk"), 0) },
		func(at string) error {
			return errors.Join(os.Truncate(filepath.Join(at, "msgs", "1.blk"), 0), os.Remove(filepath.Join(at, "meta.inf")))
		},
		func(at string) error {
			return errors.Join(os.RemoveAll(filepath.Join(at, "msgs")), os.Truncate(filepath.Join(at, "meta.sum"), 0))
		},
	} {
		for _, had := range []bool{true, false} {
			killed := copyDir(t, dir)
			if err := broken(filepath.Dir(filepath.Dir(files(t, killed, "1.blk")[0]))); err != nil {
				t.Fatal(err)
			}
			if !had {
				if err := os.Remove(filepath.Join(killed, tallyFile)); err != nil {
					t.Fatal(err)
				}
			}
			report, err := Check(killed, nil)
			if err != nil || !had && report.Damaged() > 0 {
				t.Errorf("the check says %+v, %v", report, err)
			}
			s := open(t, Config{Dir: killed})
			if told := s.State().Damage; (len(told) > 0) != had {
				t.Errorf("there was a frame: %v; the store says %q", had, told)
			}
			add(t, s, greet, "goes on")
			if l := pullOne(t, s, greet); string(l.Data()) != "goes on" {
				t.Errorf("got %q", l.Data())
			}
		}
	}
}

func copyTally(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(from, tallyFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(to, tallyFile), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
