package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestEmitAll: what an injector gives at once is stored when that returns, and
// others than injectors have no use for it.
func TestEmitAll(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Minute} {
		t.Run(timeout.String(), func(t *testing.T) {
			rec := newRecorder(inMemory(t, pebble.Config{}))
			w := newStoredWorld(t, rec, Memory)
			var texts []string
			for i := range 100 {
				texts = append(texts, fmt.Sprintf("%02d", i))
			}
			stored := make(chan int, 1)
			inject := w.seed("many", "-> A:A", func(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
				err := gofn.EmitAll(ctx, "", texts...)
				rec.mu.Lock()
				defer rec.mu.Unlock()
				n := 0
				for _, count := range rec.lies {
					n += count
				}
				stored <- n
				return err
			})
			inject.Timeout = timeout
			w.host(inject)
			w.start()
			if n := <-stored; n != len(texts) {
				t.Errorf("%d packets are stored when EmitAll returns; expected %d", n, len(texts))
			}
			var got basket
			refused := make(chan error, len(texts))
			w.host(w.seed("end", "A:A ->", func(ctx context.Context, in packet.Packet, emit gofn.Emit) error {
				refused <- gofn.EmitAll(ctx, "", "x")
				return got.run(ctx, in, emit)
			}))
			testenv.Eventually(t, 10*time.Second, "all arrive", func() bool { return got.count() == len(texts) })
			if !slices.Equal(got.data(), texts) {
				t.Errorf("got %q", got.data())
			}
			if err := <-refused; err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("EmitAll of a seed that takes packets: %v", err)
			}
		})
	}
}
