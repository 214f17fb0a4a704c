package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// TestWaitForTheStart sends packets to a node that does not know its seeds yet: who waits
// is answered with what became of it once they were there.
func TestWaitForTheStart(t *testing.T) {
	end := func(context.Context, packet.Packet, gofn.Emit) error { return nil }
	n := node.New(node.Config{
		Name: "test", Store: pebble.InMemory(pebble.Config{}), Blobs: blob.Open(blob.Config{}), Durability: node.Memory,
		Kinds: runner.Kinds{seed.Go: gofn.Kind(func(m seed.Manifest) gofn.Func { return end })},
	})
	h := Handler(Config{Node: n})
	post := func(wait string) (out api.Sent) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/states/A:A/packets?wait="+wait, strings.NewReader("x"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusOK || out.Outcome == nil {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		return out
	}
	if out := post("1ms"); out.Outcome.Over || out.Outcome.ID.IsZero() {
		t.Errorf("before the start: %+v", out.Outcome)
	}
	answer := make(chan api.Sent, 1)
	go func() { answer <- post("10m") }()
	if out := post("300ms"); out.Outcome.Over { // by then the other is on its way
		t.Errorf("before the start: %+v", out.Outcome)
	}
	if len(answer) > 0 {
		t.Fatalf("answered before the start: %+v", (<-answer).Outcome)
	}
	m := seed.Manifest{Name: "end", Kind: seed.Go, Contract: seed.Contract{In: []packet.State{"A:A"}}}
	if err := n.Host(t.Context(), m)[0]; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	if out := (<-answer).Outcome; !out.Over || out.Ended != 1 || len(out.Waiting) > 0 {
		t.Errorf("after the start: %+v", out)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
