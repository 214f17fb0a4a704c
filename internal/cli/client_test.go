package cli

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/node"
)

// TestClientPassesOver asks in a folder where a node is being torn down, one is
// stopped, and one lives.
func TestClientPassesOver(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	listen := func(name string) net.Listener {
		t.Helper()
		l, err := local.Listen(node.DefaultGroup, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	f := nodeFlags{group: node.DefaultGroup}
	refused := func(when, advice string) {
		t.Helper()
		if _, _, err := f.client(t.Context()); !errors.Is(err, local.ErrNone) || !strings.Contains(err.Error(), advice) {
			t.Errorf("%s: %v; expected no node, and %q", when, err, advice)
		}
	}

	refused("without a node", "start one with 'pmk'")
	dying := listen("a")
	go func() { // ends with the listener
		for {
			conn, err := dying.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	refused("with a node that is torn down", "node a does not answer")

	listen("b") // takes connections and never answers
	peers, err := local.Find(t.Context(), node.DefaultGroup, "")
	if err != nil || len(peers) != 2 {
		t.Fatalf("found %v, %v; expected both", peers, err)
	}
	if _, _, err := answering(t.Context(), peers, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "node b does not answer within 50ms") {
		t.Errorf("%v; expected to be told that b does not answer", err)
	}

	alive := listen("c")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status": "ok"}`) })
	server := &http.Server{Handler: mux}
	go server.Serve(alive) // ends with Close
	t.Cleanup(func() { server.Close() })
	peers, err = local.Find(t.Context(), node.DefaultGroup, "")
	if err != nil || len(peers) != 3 {
		t.Fatalf("found %v, %v; expected three", peers, err)
	}
	client, name, err := answering(t.Context(), peers, time.Second)
	if err != nil || name != "c" {
		t.Fatalf("%q answers, %v; expected c", name, err)
	}
	client.Close()
}
