package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// An event is one that a reader has got.
type event struct{ name, data string }

// read gives the events of a path of a server until the test ends.
func read(t *testing.T, server *httptest.Server, path string) <-chan event {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("the stream begins with %s, %s", resp.Status, kind)
	}
	events, ended := make(chan event), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(events)
		api.ReadEvents(resp.Body, func(name string, data []byte) error { // its error is the end
			select {
			case events <- event{name, string(data)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		resp.Body.Close()
	})
	return events
}

// await reads events until one of that name is as wanted, and checks each against
// its schema.
func await[T any](t *testing.T, events <-chan event, schemas openapi3.Schemas, name string, wanted func(T) bool) T {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatalf("the stream ended before the event %s", name)
			}
			described := map[string]string{api.StatusEvent: "Status", api.NetworkEvent: "Network", api.ChangesEvent: "Changes", api.CountersEvent: "Counters"}[e.name]
			if schemas[described] == nil {
				t.Fatalf("the event %q is not described", e.name)
			}
			fits(t, schemas[described], "event "+e.name, e.data)
			var value T
			if e.name != name {
				continue
			}
			if err := json.Unmarshal([]byte(e.data), &value); err != nil {
				t.Fatal(err)
			}
			if wanted(value) {
				return value
			}
		case <-limit:
			t.Fatalf("after 20 s there was no event %s as wanted", name)
		}
	}
}

func changed(kind, change string) func(api.Changes) bool {
	return func(c api.Changes) bool {
		return slices.ContainsFunc(c.Changes, func(c api.Change) bool { return c.Kind == kind && c.Change == change })
	}
}

// TestEvents: who reads is told the network, what happens to it, and its counters.
func TestEvents(t *testing.T) {
	schemas := described(t).Components.Schemas
	n := busyNode(t)
	server := httptest.NewServer(Handler(Config{Node: n}))
	t.Cleanup(server.Close)
	events := read(t, server, "/api/v1/network/events")
	all := await(t, events, schemas, api.NetworkEvent, func(api.Network) bool { return true })
	if len(all.Nodes) != 1 || len(all.Seeds) != 2 || all.Seeds[0].Name != "end" || all.Seeds[0].Paused != 1 {
		t.Errorf("the network is %+v", all)
	}
	slip := slices.IndexFunc(all.States, func(s api.State) bool { return s.State == "String:GREETNG" })
	if slip < 0 || all.States[slip].Nearest != "String:GREETING" || all.States[slip].Waiting != 3 {
		t.Errorf("the states are %+v", all.States)
	}
	if err := n.Inject(t.Context(), packet.Packet{State: "String:RAW", Data: "Mars"}); err != nil {
		t.Fatal(err)
	}
	await(t, events, schemas, api.CountersEvent, func(c api.Counters) bool {
		return slices.ContainsFunc(c.Seeds, func(s api.SeedCounters) bool { return s.Name == "end" && s.Ahead == 2 })
	})
	if err := n.Resume("end"); err != nil {
		t.Fatal(err)
	}
	await(t, events, schemas, api.ChangesEvent, changed("seed", "resumed"))
	if err := n.Inject(t.Context(), packet.Packet{State: "String:RAW", Data: "nobody"}); err != nil {
		t.Fatal(err)
	}
	await(t, events, schemas, api.ChangesEvent, changed("seed", "failed"))
	if _, err := n.Drop(t.Context(), node.Selection{States: []packet.State{"String:GREETNG"}}); err != nil {
		t.Fatal(err)
	}
	await(t, events, schemas, api.ChangesEvent, changed("state", "cleared"))
	n.Unhost("end")
	await(t, events, schemas, api.ChangesEvent, changed("seed", "gone"))
	await(t, events, schemas, api.NetworkEvent, func(all api.Network) bool { return len(all.Seeds) == 1 })
}

// TestEventsEndWithTheNode: a page that is open does not hold up its end.
func TestEventsEndWithTheNode(t *testing.T) {
	n := quietNode()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	server := httptest.NewServer(Handler(Config{Node: n}))
	t.Cleanup(server.Close)
	streams := []<-chan event{read(t, server, "/api/v1/events"), read(t, server, "/api/v1/network/events")}
	for _, events := range streams {
		<-events
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	limit := time.After(10 * time.Second)
	for _, events := range streams {
		for open := true; open; {
			select {
			case _, open = <-events:
			case <-limit:
				t.Fatal("a stream goes on after its node has ended")
			}
		}
	}
}

// TestNobodyReads: the network is looked at only while somebody reads.
func TestNobodyReads(t *testing.T) {
	f := feed{net: &network{Config: Config{Node: quietNode()}}}
	for range maxReaders {
		if !f.join() {
			t.Fatal("a reader is refused")
		}
	}
	if f.join() {
		t.Error("there is no bound to the readers")
	}
	testenv.Eventually(t, 10*time.Second, "there is a view", func() bool { v, _ := f.latest(); return v != nil })
	for range maxReaders {
		f.leave()
	}
	before, later := f.latest()
	select {
	case <-later:
		t.Error("the network is looked at though nobody reads")
	case <-time.After(2 * feedTime):
	}
	if now, _ := f.latest(); now != before {
		t.Error("there is another view though nobody reads")
	}
}

// TestSlowReader: who has missed much gets the network anew, who has missed little
// what has changed in all.
func TestSlowReader(t *testing.T) {
	look := func(number int, in uint64) *view {
		all := api.Network{Nodes: []api.Member{}, Seeds: []api.Seed{{SeedCounters: api.SeedCounters{Name: "a", In: in}}}, States: []api.State{}}
		return &view{Network: all, number: number, shape: sum.Shape(&all)}
	}
	w := httptest.NewRecorder()
	r := reader{out: newStream(w)}
	for _, v := range []*view{nil, look(1, 1), look(2, 1), look(2+maxMissed, 5), look(4+2*maxMissed, 9)} {
		if err := r.show(v); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	err := api.ReadEvents(w.Body, func(name string, data []byte) error {
		in, _, _ := strings.Cut(strings.SplitN(string(data), `"in":`, 2)[1], ",")
		got = append(got, name+" "+in)
		return nil
	})
	if want := []string{"network 1", "counters 5", "network 9"}; !slices.Equal(got, want) || !errors.Is(err, api.ErrEventsEnded) {
		t.Errorf("a slow reader got %q, %v; expected %q", got, err, want)
	}
}

// A neighbour is another node, reached through a server of its own.
type neighbour struct {
	*node.Node
	server *httptest.Server
	gone   chan struct{}
	store  mesh.Store
}

func (p *neighbour) At() string            { return "test://" + p.Name() }
func (p *neighbour) Store() mesh.Store     { return p.store }
func (p *neighbour) Gone() <-chan struct{} { return p.gone }
func (p *neighbour) RoundTrip(r *http.Request) (*http.Response, error) {
	there := r.Clone(r.Context())
	there.URL.Scheme, there.URL.Host = "http", p.server.Listener.Addr().String()
	return http.DefaultTransport.RoundTrip(there)
}

// TestWholeNetwork: what is asked of the network is asked of all its nodes.
func TestWholeNetwork(t *testing.T) {
	schemas := described(t).Components.Schemas
	near := quietNode()
	for _, shared := range []bool{false, true} {
		far := busyNode(t)
		p := &neighbour{Node: far, server: httptest.NewServer(Handler(Config{Node: far})), gone: make(chan struct{})}
		t.Cleanup(p.server.Close)
		if !shared {
			p.store = far.Serve(t.Context(), near.Name(), near.Boot())
		}
		near.Meet([]mesh.Peer{p})
		server := httptest.NewServer(Handler(Config{Node: near}))
		t.Cleanup(server.Close)
		client := api.NewClientOver(rewrite{server}).Everywhere()
		events := read(t, server, "/api/v1/network/events")
		all := await(t, events, schemas, api.NetworkEvent, func(all api.Network) bool { return len(all.Nodes) == 2 })
		if all.Nodes[1].Node != "busy" || all.Nodes[1].Trouble != "" || len(all.Seeds) != 2 {
			t.Errorf("the network is %+v", all)
		}
		if nodes, err := client.Turn(t.Context(), "greet", "pause", ""); err != nil || !slices.Equal(nodes, []string{"busy"}) {
			t.Errorf("paused on %q, %v", nodes, err)
		}
		await(t, events, schemas, api.ChangesEvent, changed("seed", "paused"))
		if nodes, err := client.Turn(t.Context(), "greet", "resume", "busy"); err != nil || !slices.Equal(nodes, []string{"busy"}) {
			t.Errorf("resumed on %q, %v", nodes, err)
		}
		if _, err := client.Turn(t.Context(), seed.Name("greet"), "pause", "test"); err == nil {
			t.Error("a seed was paused on a node that does not host it")
		}
		found, err := client.InState(t.Context(), "String:GREETNG", api.Ask{Limit: 100, Bytes: 100})
		if err != nil {
			t.Fatal(err)
		}
		none := packet.Attributes{"sample": "nobody"}
		if of, err := client.InState(t.Context(), "String:GREETNG", api.Ask{Limit: 100, Attributes: none}); err != nil || len(of.Packets) > 0 {
			t.Errorf("%d packets have an attribute that none has, %v", len(of.Packets), err)
		}
		for limit, want := range map[int]int{1000: len(found.Packets), 2: min(2, len(found.Packets))} {
			lines := 0
			err := client.EachInState(t.Context(), "String:GREETNG", api.Ask{Limit: limit, Waiting: true}, func(p api.Packet) error {
				if lines++; p.State != "String:GREETNG" || p.Seed != "" {
					t.Errorf("among what waits is %+v", p)
				}
				return nil
			})
			if err != nil || lines != want {
				t.Errorf("%d packets in lines, %v; expected %d", lines, err, want)
			}
		}
		if want := 3; !shared && len(found.Packets) != want {
			t.Errorf("%d packets of all nodes; expected %d", len(found.Packets), want)
		}
		for _, stored := range found.Packets {
			resp, err := server.Client().Get(server.URL + "/api/v1/network/packets/" + stored.ID.String() + "/data")
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); resp.StatusCode != http.StatusOK || resp.ContentLength != stored.Size {
				t.Errorf("the data of a packet that lies elsewhere: %s, %d bytes of %d", resp.Status, resp.ContentLength, stored.Size)
			}
		}
		p.server.CloseClientConnections()
		p.server.Close()
		await(t, events, schemas, api.ChangesEvent, changed("node", "silent"))
		close(p.gone)
		near.Meet(nil)
		await(t, events, schemas, api.ChangesEvent, changed("node", "gone"))
	}
}

// rewrite is a transport that leads to a server.
type rewrite struct{ server *httptest.Server }

func (t rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	there := r.Clone(r.Context())
	there.URL.Scheme, there.URL.Host = "http", t.server.Listener.Addr().String()
	return http.DefaultTransport.RoundTrip(there)
}

// TestStatusEvents says of a node what a request for its status does, in the same form.
func TestStatusEvents(t *testing.T) {
	schemas := described(t).Components.Schemas
	n := busyNode(t)
	server := httptest.NewServer(Handler(Config{Node: n}))
	t.Cleanup(server.Close)
	names := func(data []byte) map[string]any {
		var all map[string]any
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	resp, err := server.Client().Get(server.URL + "/api/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	e := <-read(t, server, "/api/v1/events")
	fits(t, schemas["Status"], "event "+e.name, e.data)
	asked, told := names(text), names([]byte(e.data))
	if e.name != api.StatusEvent || !slices.Equal(slices.Sorted(maps.Keys(told)), slices.Sorted(maps.Keys(asked))) {
		t.Errorf("the event %s has %q; expected %q", e.name, slices.Sorted(maps.Keys(told)), slices.Sorted(maps.Keys(asked)))
	}
}
