package page_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/web/page"
)

// family is what a node tells of a packet that one seed has split in two, of which
// one has failed.
const family = `{
  "ship": "alpha:00112233445566778899aabbccddeeff", "packet": "11112233445566778899aabbccddeeff",
  "roots": [{
    "packet": "00112233445566778899aabbccddeeff", "state": "Order:NEW",
    "born": {"node": "alpha", "state": "Order:NEW", "at": "2026-01-02T03:04:05.000Z", "took_ns": 0, "born": true, "gave": 0},
    "runs": [{
      "packet": "00112233445566778899aabbccddeeff", "seed": "split", "node": "beta", "state": "Order:NEW", "at": "2026-01-02T03:04:05.010Z",
      "took_ns": 20000000, "attempt": 1, "gave": 2, "result": "gave", "in": {"data": "<b>two</b> pumpkins", "size": 19},
      "steps": [
        {"packet": "11112233445566778899aabbccddeeff", "state": "Order:ITEM", "runs": [
          {"packet": "11112233445566778899aabbccddeeff", "seed": "pack", "node": "gamma", "state": "Order:ITEM", "at": "2026-01-02T03:04:05.040Z",
           "took_ns": 60000000, "attempt": 1, "gave": 0, "error": "no box", "result": "failed for the last time"}],
         "stored": [{"id": "11112233445566778899aabbccddeeff", "state": "Error:pack", "node": "gamma", "why": "no seed accepts it", "since": "2026-01-02T03:04:06Z"}]},
        {"packet": "22222233445566778899aabbccddeeff", "state": "Order:ITEM", "unknown": true}]
    }]
  }],
  "notes": ["node delta does not answer; what it knows is not shown"]
}`

// TestFamily shows a packet's way: which seed on which node, when, how long, with
// which result.
func TestFamily(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /", page.Handler())
	mux.HandleFunc("GET /api/v1/network", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(api.Network{Seeds: []api.Seed{}, States: []api.State{}}) // an error here is the browser's going away
	})
	mux.HandleFunc("GET /api/v1/trace/{id}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, family) })
	url := link(t, mux)
	b := open(t, url)
	b.reads("#bar", "polling every second") // there are no events here
	b.do(chromedp.Evaluate[chromedp.Void]("location.hash = 'packet/11112233445566778899aabbccddeeff'"))
	for _, text := range []string{
		"Packet 11112233", "Ship alpha:00112233445566778899aabbccddeeff, 100 ms in all", "came in on alpha", "split on beta", "20 ms", "gave",
		"<b>two</b> pumpkins", "pack on gamma", "failed for the last time", "no box", "waits on gamma", "what became of it is no longer known",
		"node delta does not answer",
	} {
		b.reads("#panel", text)
	}
	if asked := eval[string](b, "document.querySelector('#panel .asked').innerText"); asked == "" {
		t.Error("the packet that was asked for is not marked")
	}
	b.accessible("a family")
	b.shoot("family")
}
