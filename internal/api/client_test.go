package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recap/pumpkin/packet"
)

// answering is a client of a server that answers so.
func answering(t *testing.T, answer http.HandlerFunc) *Client {
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return NewClientOver(toServer{server.Listener.Addr().String()})
}

type toServer struct{ at string }

func (to toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	there := r.Clone(r.Context())
	there.URL.Host = to.at
	return http.DefaultTransport.RoundTrip(there)
}

// TestSendSaysAll: what is said of a packet goes into the request, and its data is the body.
func TestSendSaysAll(t *testing.T) {
	id, follow := packet.NewID(), packet.NewID()
	const place = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		body, err := io.ReadAll(r.Body)
		if r.URL.Path != "/api/v1/states/A:A/packets" || q.Get("id") != id.String() || q.Get("follow") != follow.String() || q.Get("stop") != "s" || q.Get("goal") != "B:B" || q.Get("track") != "true" {
			t.Errorf("asked is %s", r.URL)
		}
		if string(body) != "data" || err != nil || r.ContentLength != 4 || r.Header.Get("Traceparent") != place || r.Header.Get(Prefer) != WaitLong {
			t.Errorf("%q, %v of %d bytes with %v", body, err, r.ContentLength, r.Header)
		}
		io.WriteString(w, `{"id": "`+id.String()+`", "ship": "lab:`+id.String()+`", "node": "lab", "state": "A:A"}`)
	})
	sent, err := c.Send(t.Context(), Sending{ID: id, State: "A:A", Stop: "s", Goal: "B:B", Track: true, Traceparent: place, Follow: follow}, strings.NewReader("data"), 4)
	if err != nil || sent.ID != id || sent.Ship != (packet.Ship{Root: id, Node: "lab"}) {
		t.Errorf("sent is %+v, %v", sent, err)
	}
}

// TestAnswersThatAreNone: what a node refuses is a Problem, and what is no answer of one as well.
func TestAnswersThatAreNone(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		status     int
		want       string
	}{
		{ProblemType, `{"status": 404, "detail": "there is none", "taken": 2}`, 404, "there is none"},
		{"text/html", "<h1>Bad Gateway</h1>", 502, "the node answered 502 Bad Gateway"},
		{ProblemType, "no JSON", 503, "the node answered 503 Service Unavailable"},
		{"application/json", "no JSON", 200, "the node's answer: "},
	} {
		client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		})
		_, err := client.Status(t.Context())
		var problem *Problem
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || errors.As(err, &problem) != (c.status != 200) || IsNotFound(err) != (c.status == 404) {
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
	}
}

// TestEvents reads what a node says of itself until the stream ends, and nothing else.
func TestEvents(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, ":\n\nevent: status\ndata: {\"node\": \"a\"}\n\nevent: other\ndata: 1\n\nevent: status\ndata: {\"node\": \"b\"}\n\n")
	})
	got := ""
	if err := c.Events(t.Context(), func(st Status) { got += st.Node }); got != "ab" || !errors.Is(err, ErrEventsEnded) {
		t.Errorf("%q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Events(ctx, func(Status) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
}
