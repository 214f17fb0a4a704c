package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
)

// TestAFullStoreAnswers has many clients send while the store is full: each is told so, and
// nothing of theirs arrives once it has room.
func TestAFullStoreAnswers(t *testing.T) {
	s := &full{Store: pebble.InMemory(pebble.Config{})}
	n := node.New(node.Config{Name: "test", Store: s, Blobs: blob.Open(blob.Config{Dir: t.TempDir()}), Durability: node.Memory})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	h := Handler(Config{Node: n})
	post := func(path, kind, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		r.Header.Set(api.Prefer, "respond-async, wait=1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	var clients sync.WaitGroup
	for i := range 30 {
		for _, c := range []struct{ path, kind, body string }{
			{"/api/v1/states/A:A/packets", "", "raw"},
			{"/api/v1/states/A:A/packets?wait=10m", api.PacketType, `{"data": "wrapped"}`},
			{"/api/v1/states/A:A/packets", "", strings.Repeat("x", store.MaxInline+1)},
			{"/api/v1/packets", api.PacketType, `{"state": "A:A", "data": "one"}`},
			{"/api/v1/packets", api.LinesType, strings.Repeat(`{"state": "A:A", "data": "one of many"}`+"\n", i+1)},
		} {
			clients.Go(func() {
				w := post(c.path, c.kind, c.body)
				var problem api.Problem
				err := json.Unmarshal(w.Body.Bytes(), &problem)
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" || err != nil || problem.Taken != 0 || !strings.Contains(problem.Detail, "its store is full, for 1s; send it again later") {
					t.Errorf("%s as %q: %d %v %s", c.path, c.kind, w.Code, w.Header(), w.Body)
				}
			})
		}
	}
	clients.Wait()
	s.room.Store(true)
	if w := post("/api/v1/states/A:A/packets", "", "after"); w.Code != http.StatusOK {
		t.Errorf("with room: %d %s", w.Code, w.Body)
	}
	var got []string
	if err := n.Rests(t.Context(), "A:A", false, func(p node.Rested) bool { got = append(got, fmt.Sprint(p.DataSize())); return true }); err != nil || !slices.Equal(got, []string{"5"}) {
		t.Errorf("there are packets of %q bytes, %v; expected what was sent after there was room alone", got, err)
	}
}

func TestPatience(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 5 * time.Second, "wait=60": time.Minute, "respond-async, Wait=0": 0, "wait=x": 5 * time.Second, "wait=-1": 5 * time.Second,
		api.WaitLong: mostHeld, "wait=4294967295": mostHeld,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.Header.Set(api.Prefer, header)
		if got := patienceOf(r); got != want {
			t.Errorf("%q: %v; expected %v", header, got, want)
		}
	}
}
