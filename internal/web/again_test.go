package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// TestSentAgain sends a packet with one id by every way of the API: it is there once,
// and a packet without an id is another each time.
func TestSentAgain(t *testing.T) {
	n, client := serve(t)
	h := Handler(Config{Node: n})
	id := packet.NewID()
	for range 2 {
		if taken, err := client.SendMany(t.Context(), list(io.EOF, api.Sending{ID: id, State: "A:A"}, api.Sending{ID: id, State: "A:A"})); taken != 2 || err != nil {
			t.Fatalf("%d taken, %v", taken, err)
		}
		if sent, err := client.Send(t.Context(), api.Sending{ID: id, State: "A:A"}, strings.NewReader("x"), -1); err != nil || sent.ID != id {
			t.Fatal(sent, err)
		}
		for _, c := range []struct{ path, kind, body string }{
			{"?id=" + id.String(), api.RawType, "x"},
			{"?id=" + id.String() + "&wait=1m", api.RawType, "x"},
			{"", api.PacketType, `{"id":"` + id.String() + `","data":"x"}`},
		} {
			if sent := sendTo(t, h, c.path, c.kind, c.body); sent.ID != id || sent.Outcome != nil {
				t.Errorf("%+v is answered with %+v", c, sent)
			}
		}
	}
	drawn := sendTo(t, h, "", api.RawType, "x")
	if again := sendTo(t, h, "", api.RawType, "x"); again.ID == drawn.ID || again.ID.IsZero() || !strings.HasSuffix(again.Ship.String(), again.ID.String()) {
		t.Errorf("without an id: %+v, then %+v", drawn, again)
	}
	waiting := 0
	if err := n.Rests(t.Context(), "A:A", false, func(node.Rested) bool { waiting++; return true }); err != nil || waiting != 3 {
		t.Errorf("%d packets are there, %v; expected 3", waiting, err)
	}
}

// sendTo posts a packet into A:A.
func sendTo(t *testing.T, h http.Handler, query, kind, body string) (sent api.Sent) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/states/A:A/packets"+query, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &sent); w.Code != http.StatusOK || err != nil {
		t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	return sent
}
