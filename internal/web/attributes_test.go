package web

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// TestAttributesOfWhatIsSent by each way in are the packet's.
func TestAttributesOfWhatIsSent(t *testing.T) {
	n, client := serve(t)
	want := packet.Attributes{"sample_id": "Müller/7", "lane": ""}
	if _, err := client.Send(t.Context(), api.Sending{State: "A:RAW", Attributes: want}, strings.NewReader("x"), -1); err != nil {
		t.Fatal(err)
	}
	if taken, err := client.SendMany(t.Context(), list(io.EOF, api.Sending{State: "A:MANY", Data: []byte("x"), Attributes: want})); taken != 1 || err != nil {
		t.Fatal(taken, err)
	}
	h := Handler(Config{Node: n})
	post := func(state, kind, body string, header http.Header) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/states/"+state+"/packets", strings.NewReader(body))
		maps.Copy(r.Header, header)
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := post("A:HEADER", api.RawType, "x", http.Header{"Pmk-Attr-Sample-Id": {"M%C3%BCller%2F7"}, "Pmk-Attr-Lane": {""}}); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := post("A:JSON", api.PacketType, `{"data":"x","attributes":{"sample_id":"Müller/7","lane":""}}`, nil); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, state := range []packet.State{"A:RAW", "A:MANY", "A:HEADER", "A:JSON"} {
		found := 0
		err := n.Rests(t.Context(), state, true, func(r node.Rested) bool {
			if found++; !maps.Equal(r.Attributes(), want) {
				t.Errorf("%s has %v", state, r.Attributes())
			}
			return true
		})
		if found != 1 || err != nil {
			t.Errorf("%d packets in %s, %v", found, state, err)
		}
	}
	for why, w := range map[string]*httptest.ResponseRecorder{
		"expected a lower-case letter": post("A:A", api.PacketType, `{"data":"x","attributes":{"Sample":"S07"}}`, nil),
		"percent-encoded":              post("A:A", api.RawType, "x", http.Header{"Pmk-Attr-Sample": {"50 %"}}),
		"64 are allowed":               post("A:A", api.PacketType, `{"data":"x","attributes":{`+strings.TrimSuffix(numbered65(), ",")+`}}`, nil),
	} {
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), why) {
			t.Errorf("%d %s; expected %q", w.Code, w.Body, why)
		}
	}
}

// numbered65 are the members of a JSON object with one attribute too many.
func numbered65() string {
	var b strings.Builder
	for i := range packet.MaxAttributes + 1 {
		fmt.Fprintf(&b, `"a%d":"",`, i)
	}
	return b.String()
}
