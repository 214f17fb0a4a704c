package jetstream

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/testenv"
)

// TestGaps takes frames out behind the line's back: it goes on with what is there,
// and with what comes after.
func TestGaps(t *testing.T) {
	t.Parallel()
	s := open(t, Config{})
	for i := range 6 {
		add(t, s, greet, fmt.Sprint(i+1))
	}
	for _, number := range []uint64{1, 3, 5, 6} {
		if err := s.eng.remove(t.Context(), greet, number); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"2", "4"} {
		if l := pullOne(t, s, greet); string(l.Data()) != want {
			t.Errorf("got %q; expected %q", l.Data(), want)
		} else if err := l.Ack(); err != nil {
			t.Error(err)
		}
	}
	empty(t, s, greet, 50*time.Millisecond)
	add(t, s, greet, "7")
	if l := pullOne(t, s, greet); string(l.Data()) != "7" || l.Number() != 7 {
		t.Errorf("got frame %d, %q", l.Number(), l.Data())
	}
}

// TestRot breaks a frame on the disk while the store runs: the others come, and it is
// said which is missing.
func TestRot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	for _, data := range []string{"before", "rotten", "after"} {
		add(t, s, greet, strings.Repeat(data, 100))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir})
	for _, path := range files(t, dir, "*.blk") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(data, []byte("rotten")); at >= 0 {
			data[at] ^= 1
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, want := range []string{"before", "after"} {
		l := pullOne(t, s, greet)
		if !strings.HasPrefix(string(l.Data()), want) {
			t.Errorf("got frame %d, %.20q; expected %s", l.Number(), l.Data(), want)
		}
	}
	testenv.Eventually(t, time.Second, "it is said that frame 2 cannot be read", func() bool {
		return strings.Contains(strings.Join(s.State().Damage, "\n"), "frame 2")
	})
}

// TestFreshOrOld has frames pulled that were just appended and frames that lay there
// before, in turns: each comes once, in order.
func TestFreshOrOld(t *testing.T) {
	t.Parallel()
	s := open(t, Config{Memory: true})
	next := 1
	for round := range 40 {
		for i := range 1 + round%7 {
			add(t, s, greet, fmt.Sprint(next+i))
		}
		if round%5 == 0 { // what is not kept has to be read
			s.mu.Lock()
			l := s.line(greet)
			for number := range l.fresh {
				if number%2 == 0 {
					l.unfresh(number)
				}
			}
			s.mu.Unlock()
		}
		for range 1 + round%7 {
			l := pullOne(t, s, greet)
			if string(l.Data()) != fmt.Sprint(next) || l.Deliveries() != 1 {
				t.Fatalf("got %q, delivered %d times; expected %d", l.Data(), l.Deliveries(), next)
			}
			next++
			if err := l.Ack(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.line(greet); l.freshBytes != 0 || len(l.fresh) != 0 {
		t.Errorf("%d bytes of %d frames are kept that nobody will ask for", l.freshBytes, len(l.fresh))
	}
}

// TestLessThanKnown has a line expect more than the server has, as after a count that
// a clear overtook: a pull finds that out once, and what comes then is leased.
func TestLessThanKnown(t *testing.T) {
	t.Parallel()
	s := open(t, Config{Memory: true})
	for _, gone := range []bool{false, true} { // the frames alone, and the place
		add(t, s, greet, "first")
		if err := pullOne(t, s, greet).Ack(); err != nil {
			t.Fatal(err)
		}
		if gone {
			if err := s.Clear(t.Context(), greet); err != nil {
				t.Fatal(err)
			}
		}
		s.mu.Lock()
		s.line(greet).last = 100
		s.mu.Unlock()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if got, err := s.Pull(ctx, greet, 1); err == nil {
				t.Errorf("got %d frames of none", len(got))
			}
		}()
		testenv.Eventually(t, 10*time.Second, "nothing more is expected", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.line(greet).last < s.line(greet).next
		})
		cancel()
		<-ended
		add(t, s, greet, "second")
		if l := pullOne(t, s, greet); string(l.Data()) != "second" {
			t.Errorf("got %q", l.Data())
		} else if err := l.Ack(); err != nil {
			t.Error(err)
		}
	}
}

// TestReadAllocates bounds what reading a frame from the disk takes in memory beside
// the frame: the library's own queue for a subscription is half a MiB.
func TestReadAllocates(t *testing.T) { // not parallel: it counts for the process
	s := open(t, Config{})
	add(t, s, greet, "frame")
	const reads, most = 100, 64 << 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range reads {
		frames, err := s.eng.read(t.Context(), greet, 1, maxBatch)
		if err != nil || len(frames) != 1 {
			t.Fatalf("got %d frames and %v; expected one", len(frames), err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / reads; each > most {
		t.Errorf("a read takes %d bytes; expected at most %d", each, most)
	} else {
		t.Logf("a read takes %d bytes", each)
	}
}

// TestReadBatch reads as much at once as may be asked for: the queue of the
// subscription holds it.
func TestReadBatch(t *testing.T) {
	t.Parallel()
	s := open(t, Config{})
	for i := range maxBatch + 1 {
		add(t, s, greet, fmt.Sprint(i+1))
	}
	frames, err := s.eng.read(t.Context(), greet, 1, maxBatch)
	if err != nil || len(frames) != maxBatch {
		t.Fatalf("got %d frames and %v; expected %d", len(frames), err, maxBatch)
	}
}
