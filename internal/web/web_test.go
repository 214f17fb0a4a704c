package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
)

// serve runs a node without seeds on a Unix socket, and a client of it.
func serve(t *testing.T) (*node.Node, *api.Client) {
	n := node.New(node.Config{Name: "test", MaxData: 100, Store: pebble.InMemory(pebble.Config{}), Blobs: blob.Open(blob.Config{})})
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- n.Run(ctx) }()
	go func() { ended <- Serve(ctx, l, Handler(Config{Node: n})) }()
	client := api.NewClient(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
	})
	t.Cleanup(func() {
		client.Close()
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return n, client
}

// list gives packets to send one after the other, then end.
func list(end error, sendings ...api.Sending) func() (api.Sending, error) {
	return func() (api.Sending, error) {
		if len(sendings) == 0 {
			return api.Sending{}, end
		}
		s := sendings[0]
		sendings = sendings[1:]
		return s, nil
	}
}

func TestSend(t *testing.T) {
	_, client := serve(t)
	data := []byte("a\x00\xff")
	taken, err := client.SendMany(t.Context(), list(io.EOF, api.Sending{State: "A:A", Data: data}, api.Sending{State: "A:A", Data: data}))
	if taken != 2 || err != nil {
		t.Fatalf("%d taken, %v", taken, err)
	}
	st, err := client.Status(t.Context())
	if err != nil || st.Node != "test" || len(st.Waiting) != 1 || st.Waiting[0].Packets != 2 {
		t.Errorf("the status is %+v, %v", st, err)
	}
	broken := errors.New("the source broke")
	if taken, err := client.SendMany(t.Context(), list(broken, api.Sending{State: "A:A"})); taken != 1 || !errors.Is(err, broken) {
		t.Errorf("%d taken from a source that broke, %v", taken, err)
	}
}

func TestWhatIsRefusedIsNamed(t *testing.T) {
	n, client := serve(t)
	for text, bad := range map[string]api.Sending{
		"has no colon":            {State: "A"},
		"goal":                    {State: "A:A", Goal: "x"},
		"at most 100 are allowed": {State: "A:A", Data: make([]byte, 101)},
	} {
		taken, err := client.SendMany(t.Context(), list(io.EOF, api.Sending{State: "A:A"}, bad, api.Sending{State: "A:A"}))
		if taken != 1 || err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "packet 2") {
			t.Errorf("%+v: %d taken, %v", bad, taken, err)
		}
	}
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var problem *api.Problem
	if _, err := client.SendMany(t.Context(), list(io.EOF, api.Sending{State: "A:A"})); !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
		t.Errorf("a node that ends answers %v", err)
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	n := node.New(node.Config{Name: "test", Store: pebble.InMemory(pebble.Config{}), Blobs: blob.Open(blob.Config{})})
	for _, c := range []struct {
		method, path, kind, body string
		status                   int
	}{
		{"GET", "/", "", "", http.StatusOK},
		{"GET", "/nothing", "", "", http.StatusNotFound},
		{"GET", "/api/v1/packets", "", "", http.StatusNotFound},
		{"POST", "/api/v1/packets", api.LinesType, "hello", http.StatusBadRequest},
		{"POST", "/api/v1/packets", api.LinesType, `{"state": "A:A", "data": "x", "stat": 1}`, http.StatusBadRequest},
		{"POST", "/api/v1/packets", api.LinesType, `{"state": "A:A", "data64": "no base64!"}`, http.StatusBadRequest},
		{"POST", "/api/v1/packets", api.LinesType, `{"state": "A:A", "da`, http.StatusBadRequest},
		{"POST", "/api/v1/packets", api.LinesType, `{"state": "A:A"}`, http.StatusBadRequest},
		{"POST", "/api/v1/packets", api.LinesType, "", http.StatusOK},
		{"POST", "/api/v1/packets", api.PacketType, "", http.StatusBadRequest},
		{"POST", "/api/v1/packets", "", `{"state": "A:A", "data": "x"}`, http.StatusUnsupportedMediaType},
		{"POST", "/api/v1/packets", "text/plain", "x", http.StatusUnsupportedMediaType},
		{"POST", "/api/v1/packets", api.RawType, "x", http.StatusUnsupportedMediaType},
	} {
		w := httptest.NewRecorder()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		r := httptest.NewRequestWithContext(ctx, c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		Handler(Config{Node: n}).ServeHTTP(w, r)
		cancel()
		if w.Code != c.status {
			t.Errorf("%s %s %q: %d %s, want %d", c.method, c.path, c.body, w.Code, w.Body, c.status)
		}
		if kind := w.Header().Get("Content-Type"); w.Code != http.StatusOK && kind != "application/problem+json" {
			t.Errorf("%s %s: an error as %s", c.method, c.path, kind)
		}
	}
}

// TestBodies: a body is the data, whatever its type; an envelope has a type of its own.
// What follows its value is refused, with all of it.
func TestBodies(t *testing.T) {
	n, _ := serve(t)
	h := Handler(Config{Node: n})
	const state, many = "/api/v1/states/J:B/packets", "/api/v1/packets"
	var want []string
	for _, c := range []struct {
		path, kind, body string
		takes            []string // nothing: it is refused
	}{
		{state, jsonType, `{"order": 1}`, []string{`{"order": 1}`}},
		{state, "application/json; charset=utf-8", `[1] [2]`, []string{`[1] [2]`}},
		{state, "application/x-www-form-urlencoded", "a=b", []string{"a=b"}},
		{state, api.LinesType, "{}\n{}\n", []string{"{}\n{}\n"}},
		{state, "not a type", "x", []string{"x"}},
		{state, "", "", []string{""}},
		{state, api.PacketType, `{"data": "test"}`, []string{"test"}},
		{state, api.PacketType + "; charset=utf-8", `{"data64": "AP8="} `, []string{"\x00\xff"}},
		{state, api.PacketType, `{"data64": ""}`, []string{""}},
		{state, api.PacketType, `{"order": 1}`, nil},
		{state, api.PacketType, `{"data": "a"} {"data": "b"}`, nil},
		{state, api.PacketType, `{"data": "a"}}`, nil},
		{state, api.PacketType, `{"data": "a", "data64": ""}`, nil},
		{many, api.PacketType, `{"state": "J:B", "data": "test"}`, []string{"test"}},
		{many, jsonType, `{"state": "J:B", "data64": "AP8="}`, []string{"\x00\xff"}},
		{many, jsonType, `{"state": "J:B", "data": "a"}` + "\n" + `{"state": "J:B", "data": "b"}`, nil},
		{many, api.PacketType, `{"state": "J:B", "data": "a"} x`, nil},
		{many, api.LinesType, `{"state": "J:B", "data": "a"}` + "\n" + `{"state": "J:B", "data64": "Yg=="}` + "\n", []string{"a", "b"}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		expected := http.StatusOK
		if c.takes == nil {
			expected = http.StatusBadRequest
		}
		if w.Code != expected {
			t.Errorf("%s, %s, %s: %d %s", c.path, c.kind, c.body, w.Code, w.Body)
		}
		want = append(want, c.takes...)
	}
	var got []string
	if err := n.Rests(t.Context(), "J:B", false, func(p node.Rested) bool { got = append(got, p.Data); return true }); err != nil || !slices.Equal(got, want) {
		t.Errorf("took %q, %v; expected %q", got, err, want)
	}
	for _, path := range []string{"/api/v1/retry", "/api/v1/drop", "/api/v1/network/drop"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(`{"ids": []} {"states": ["J:B"]}`)))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s of two selections: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestTraceContext: a packet belongs to the trace that the request's header names.
func TestTraceContext(t *testing.T) {
	n := busyNode(t)
	h := routes(Config{Node: n})
	const place = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for path, body := range map[string]string{"/api/v1/states/Trace:ME/packets": "data", "/api/v1/packets": `{"state": "Trace:ME", "data": "data"}`} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("Traceparent", place)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("POST %s: %d %s", path, w.Code, w.Body)
		}
	}
	seen := 0
	err := n.Rests(t.Context(), "Trace:ME", false, func(p node.Rested) bool {
		seen++
		if p.Wish == nil || p.Wish.Trace.String() != place {
			t.Errorf("packet %s is of the trace %+v; expected %s", p.ID, p.Wish, place)
		}
		return true
	})
	if err != nil || seen != 2 {
		t.Errorf("%d packets wait, %v; expected 2", seen, err)
	}
}
