package node

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// TestASeedFallsBehind and catches up again, by the time of a bubble: the log says
// either once, and the status as long as it lasts.
func TestASeedFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		m := seed.Manifest{Name: "slow", Kind: seed.Go, Workers: 1, Contract: seed.Contract{In: []packet.State{"A:A"}}}
		n := New(Config{
			Name: "test", Store: inMemory(t, pebble.Config{}), Durability: Memory,
			Log: slog.New(slog.NewTextHandler(&said, nil)),
			Kinds: runner.Kinds{seed.Go: gofn.Kind(func(seed.Manifest) gofn.Func {
				return func(context.Context, packet.Packet, gofn.Emit) error {
					<-time.After(100 * time.Millisecond)
					return nil
				}
			})},
		})
		if err := n.Host(t.Context(), m)[0]; err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()

		told := func(what string) int {
			n.backlogs.mu.Lock() // is held while something is said
			defer n.backlogs.mu.Unlock()
			return strings.Count(said.String(), what)
		}
		for range 10 * 60 { // 20 packets a second where it does 10
			<-time.After(100 * time.Millisecond)
			for range 2 {
				if err := n.Inject(t.Context(), packet.Packet{State: "A:A", Data: "x"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		st := n.Status(t.Context())
		if len(st.Behind) != 1 || st.Behind[0].Seed != "slow" || st.Behind[0].Growth < 8 || st.Behind[0].Growth > 12 {
			t.Errorf("after a minute: behind are %+v", st.Behind)
		}
		if s := st.Seeds[0]; s.Prediction.Cost(1).Round(10*time.Millisecond) != 100*time.Millisecond {
			t.Errorf("the cost is predicted as %v", s.Prediction.Cost(1))
		}
		s := st.Seeds[0]
		drain := predict.DrainOf(s.Stored, s.StoredBytes, []predict.Replica{{Line: s.Prediction, Workers: s.Workers}})
		if want := time.Duration(s.Stored) * 100 * time.Millisecond; drain.Time < want*9/10 || drain.Time > want*11/10 {
			t.Errorf("%d packets of 100 ms are said to take %v", s.Stored, drain.Time)
		}
		<-time.After(2 * time.Minute)
		if st := n.Status(t.Context()); len(st.Behind) != 0 || st.Seeds[0].Stored != 0 {
			t.Errorf("at the end %d packets are stored, and behind are %+v", st.Seeds[0].Stored, st.Behind)
		}
		if b, c := told("falls behind"), told("has caught up"); b != 1 || c != 1 {
			t.Errorf("that it falls behind was said %d times, and that it has caught up %d times:\n%s", b, c, said.String())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
