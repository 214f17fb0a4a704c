package worker

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
)

// TestCatchUp: what was printed is passed on when catchUp returns, and to find that nothing
// was, which is after every frame of an extractor, costs next to nothing.
func TestCatchUp(t *testing.T) {
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	var passed atomic.Int64
	stuck := make(chan struct{}, 1)
	l, err := newLog(from, func(line string) error {
		if line == "stuck" {
			<-stuck
		}
		passed.Add(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(100) {
		if _, err := to.WriteString("a line\n"); err != nil {
			t.Fatal(err)
		}
		if err := l.catchUp(t.Context()); err != nil || passed.Load() != i+1 {
			t.Fatalf("%d of %d lines were passed on, %v", passed.Load(), i+1, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { err = errors.Join(err, l.catchUp(t.Context())) }); n > 0 || err != nil {
		t.Errorf("with nothing to pass on, %v allocations, %v", n, err)
	}
	// It does not wait for longer than it may.
	if _, err := to.WriteString("stuck\n"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.catchUp(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("what cannot be passed on was, %v", err)
	}
	stuck <- struct{}{}
	if err := l.catchUp(t.Context()); err != nil || passed.Load() != 101 {
		t.Errorf("%d of 101 lines were passed on, %v", passed.Load(), err)
	}
	to.Close()
	<-l.done
	if err := l.catchUp(t.Context()); err != nil {
		t.Error(err)
	}
}
