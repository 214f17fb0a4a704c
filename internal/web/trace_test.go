package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

func TestTrace(t *testing.T) {
	_, client := serve(t)
	id, near, far := packet.ID{Hi: 0xabcd_01 << 40}, packet.ID{Hi: 0xabcd_02 << 40}, packet.ID{Hi: 0xff01 << 48}
	if _, err := client.SendMany(t.Context(), list(io.EOF, api.Sending{ID: id, State: "A:A", Track: true, Data: []byte("data")}, api.Sending{ID: near, State: "A:A"}, api.Sending{ID: far, State: "A:A"})); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{id.String(), "abcd01", "test:" + id.String(), "abcd010000"} {
		got, err := client.Trace(t.Context(), text)
		if err != nil || got.Ship != "test:"+id.String() || len(got.Roots) != 1 || len(got.Notes) != 0 {
			t.Fatalf("the trace of %s is %+v, %v", text, got, err)
		}
		root := got.Roots[0]
		if root.Packet != id || root.Born == nil || len(root.Rests) != 1 || root.Rests[0].Why != "no seed accepts it" || root.Rests[0].Data == nil || root.Rests[0].Data.Head() != "data" {
			t.Errorf("the packet is %+v", root)
		}
	}
	for text, status := range map[string]int{"abcd": http.StatusConflict, "abce": http.StatusNotFound, "abc": http.StatusBadRequest, "xyzzy": http.StatusBadRequest} {
		_, err := client.Trace(t.Context(), text)
		var problem *api.Problem
		if !errors.As(err, &problem) || problem.Status != status {
			t.Errorf("the trace of %s is answered %v, expected status %d", text, err, status)
		}
	}
}

// TestTraceparent has packets belong to the trace that they, or else their
// request, say.
func TestTraceparent(t *testing.T) {
	n, _ := serve(t)
	h := Handler(Config{Node: n})
	const own, request = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-11111111111111111111111111111111-2222222222222222-00"
	post := func(header, kind, body string) int {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/packets", strings.NewReader(body))
		r.Header.Set("Traceparent", header)
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for i, c := range []struct{ header, kind, body, want string }{
		{request, api.LinesType, `{"state": "A:S0", "data": ""}{"state": "A:S0", "data": ""}`, request},
		{request, jsonType, `{"state": "A:S1", "data": "", "traceparent": "` + own + `"}`, own},
		{request, api.PacketType, `{"state": "A:S2", "data": ""}`, request},
		{"nonsense", api.LinesType, `{"state": "A:S3", "data": ""}`, ""},
	} {
		if status := post(c.header, c.kind, c.body); status != http.StatusOK {
			t.Fatalf("request %d is answered with %d", i, status)
		}
		err := n.Rests(t.Context(), packet.State(fmt.Sprintf("A:S%d", i)), false, func(p node.Rested) bool {
			got := ""
			if p.Wish != nil {
				got = p.Wish.Trace.String()
			}
			if got != c.want {
				t.Errorf("a packet of request %d belongs to %q, expected %q", i, got, c.want)
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if status := post("", jsonType, `{"state": "A:A", "data": "", "traceparent": "nonsense"}`); status != http.StatusBadRequest {
		t.Errorf("a packet with a traceparent that is none is answered with %d", status)
	}
}
