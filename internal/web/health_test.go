package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestReady: a node is ready from its start until its end, while its store takes
// packets; else it says why not. It is well all the time.
func TestReady(t *testing.T) {
	n := node.New(node.Config{Name: "test", Durability: node.Memory, Store: pebble.InMemory(pebble.Config{Size: 3 << 10}), Blobs: blob.Open(blob.Config{})})
	copied := "" // what the folder is a copy of
	h := Handler(Config{Node: n, Copied: func() string { return copied }})
	ask := func(path string) (status int, detail string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		var problem api.Problem
		if w.Code != http.StatusOK && (w.Header().Get("Content-Type") != api.ProblemType || json.NewDecoder(w.Body).Decode(&problem) != nil) {
			t.Errorf("%s: %d with %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		return w.Code, problem.Detail
	}
	expect := func(when string, status int, why string) {
		t.Helper()
		if got, detail := ask("/readyz"); got != status || !strings.Contains(detail, why) {
			t.Errorf("%s: %d %s; expected %d %s", when, got, detail, status, why)
		}
		if got, _ := ask("/healthz"); got != http.StatusOK {
			t.Errorf("%s: healthz %d", when, got)
		}
	}
	expect("before the start", http.StatusServiceUnavailable, "it is starting")

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	testenv.Eventually(t, 10*time.Second, "the node is ready", func() bool { status, _ := ask("/readyz"); return status == http.StatusOK })
	copied = "this folder is a copy"
	expect("with a copied folder", http.StatusServiceUnavailable, "not ready: this folder is a copy")
	copied = ""
	large := packet.Packet{State: "A:A", Data: strings.Repeat("x", 2<<10)} // there is room for one
	if err := n.Inject(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	injected := make(chan error, 1)
	go func() { injected <- n.Inject(t.Context(), large) }()
	testenv.Eventually(t, 10*time.Second, "the store is full", func() bool { status, _ := ask("/readyz"); return status != http.StatusOK })
	expect("with a full store", http.StatusServiceUnavailable, "its store is full")
	if _, err := n.Drop(t.Context(), node.Selection{States: []packet.State{"A:A"}}); err != nil {
		t.Fatal(err)
	}
	if err := <-injected; err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 20*time.Second, "there is room again", func() bool { status, _ := ask("/readyz"); return status == http.StatusOK })
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("while it ends", http.StatusServiceUnavailable, "takes no more packets")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
