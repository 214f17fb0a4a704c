package node

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

// turnTime is how long a seed that is being loaded keeps others from it. One that takes
// longer waits for something else than a processor.
const turnTime = 5 * time.Second

// turns lets as many seeds load at a time as there are processors, and as many again
// that packets wait for: more would only slow each other down. Its zero value is ready.
type turns struct {
	mu    sync.Mutex
	taken int
	line  []*loading // those that wait
}

// await returns when l may begin; pass ends that. The error is ctx's.
func (t *turns) await(ctx context.Context, l *loading) error {
	t.mu.Lock()
	l.turn = make(chan struct{})
	t.line = append(t.line, l)
	t.admit()
	t.mu.Unlock()
	select {
	case <-l.turn:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.line, l)
	if i >= 0 {
		t.line = slices.Delete(t.line, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 { // it had just been let in
		t.pass()
	}
	return ctx.Err()
}

// hurry lets in who is wanted since.
func (t *turns) hurry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.admit()
}

// pass lets others begin.
func (t *turns) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken--
	t.admit()
}

// admit lets in who may begin now. The caller holds t.mu.
func (t *turns) admit() {
	loaders := runtime.GOMAXPROCS(0)
	for len(t.line) > 0 {
		i, most := slices.IndexFunc(t.line, func(l *loading) bool { return l.wanted.Load() }), 2*loaders
		if i < 0 {
			i, most = 0, loaders
		}
		if t.taken >= most {
			return
		}
		t.taken++
		close(t.line[i].turn)
		t.line = slices.Delete(t.line, i, i+1)
	}
}
