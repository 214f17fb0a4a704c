package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// described reads the document. As the test sees it, an object has only the properties
// that stand there, so that nothing is left undescribed; readers of the API are to
// let others pass.
func described(t *testing.T) *openapi3.T {
	t.Helper()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData([]byte(document))
	if err == nil {
		err = doc.Validate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Error("the document is not OpenAPI 3.1")
	}
	for _, schema := range doc.Components.Schemas {
		if len(schema.Value.Properties) > 0 {
			no := false
			schema.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
		}
	}
	return doc
}

// misfit says why a JSON text is not what the schema describes.
func misfit(schema *openapi3.SchemaRef, text string) error {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return schema.Value.VisitJSON(value, openapi3.MultiErrors(), openapi3.EnableJSONSchema2020())
}

func fits(t *testing.T, schema *openapi3.SchemaRef, what, text string) {
	t.Helper()
	if err := misfit(schema, text); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// TestMisfits: what is missing, not described, or of another kind is found.
func TestMisfits(t *testing.T) {
	schemas := described(t).Components.Schemas
	for schema, texts := range map[string][]string{
		"Handled": {`{}`, `{"count": -1}`, `{"count": 1, "more": 2}`, `{"count": null}`},
		"Packets": {`{"packets": [{}], "more": false}`, `{"packets": null, "more": false}`},
		"Health":  {`{"status": "ill"}`},
	} {
		for _, text := range texts {
			if misfit(schemas[schema], text) == nil {
				t.Errorf("%s is taken for a %s", text, schema)
			}
		}
	}
}

// operations are what the document describes, each as METHOD PATH.
func operations(doc *openapi3.T) []string {
	var all []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			all = append(all, method+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

// TestEveryRouteIsDescribed: the document has what the server has, and nothing else.
func TestEveryRouteIsDescribed(t *testing.T) {
	served := routes(Config{Node: quietNode()}).patterns
	served = slices.DeleteFunc(served, func(p string) bool { return p == "/" || strings.HasSuffix(p, " /{$}") })
	slices.Sort(served)
	if want := operations(described(t)); !slices.Equal(served, want) {
		t.Errorf("served:    %q\ndescribed: %q", served, want)
	}
}

// quietNode is one without seeds that does not run.
func quietNode() *node.Node {
	return node.New(node.Config{Name: "test", Store: pebble.InMemory(pebble.Config{}), Blobs: blob.Open(blob.Config{})})
}

// busyNode runs seeds until the test ends; some of their packets wait, and one is
// in an inbox.
func busyNode(t *testing.T) *node.Node {
	t.Helper()
	fns := map[seed.Name]gofn.Func{
		"greet": func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
			if in.Data == "nobody" {
				return &runner.Fault{Reason: "there is nobody", Output: "looked everywhere"}
			}
			return emit("", "Hello "+in.Data)
		},
		"end":    func(context.Context, packet.Packet, gofn.Emit) error { return nil },
		"source": func(context.Context, packet.Packet, gofn.Emit) error { return errors.New("no broker") },
	}
	n := node.New(node.Config{
		Name: "busy", Version: "test", Durability: node.Memory, MaxData: 1 << 20,
		Store: pebble.InMemory(pebble.Config{Size: 8 << 20}), Blobs: blob.Open(blob.Config{Dir: t.TempDir()}),
		Kinds: runner.Kinds{seed.Go: gofn.Kind(func(m seed.Manifest) gofn.Func { return fns[m.Name] })},
	})
	for name, text := range map[seed.Name]string{"greet": "String:RAW -> String:GREETING", "end": "String:GREETING -> "} {
		c, err := seed.ParseContract(text)
		if err == nil {
			err = n.Host(t.Context(), seed.Manifest{Name: name, About: "for tests", Kind: seed.Go, Contract: c})[0]
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := n.Pause(t.Context(), "end"); err != nil {
		t.Fatal(err)
	}
	for state, data := range map[packet.State][]string{
		"String:RAW": {"World", "nobody"}, "String:GREETNG": {"a slip", "\xff\x00 no text", `{"a": 1}`}, "Large:DATA": {strings.Repeat("large ", 100_000)},
	} {
		for _, d := range data {
			if err := n.Inject(t.Context(), packet.Packet{State: state, Data: d}); err != nil {
				t.Fatal(err)
			}
		}
	}
	testenv.Eventually(t, 10*time.Second, "the greeting lies in the inbox, and what failed waits", func() bool {
		st := n.Status(t.Context())
		return st.Seeds[0].Stored == 1 && len(st.Waiting) == 3
	})
	return n
}

// A teller is a peer that knows two seeds of a node that is gone.
type teller struct{ mesh.Peer }

func (*teller) Store() mesh.Store { return nil }
func (*teller) Card() mesh.Card {
	take := seed.Contract{In: []packet.State{"Late:A"}}
	return mesh.Card{Node: "teller", Known: []mesh.Known{
		{Seed: "late1", Node: "gone", Contract: take, Number: 1}, {Seed: "late2", Node: "gone", Contract: take, Number: 1},
	}}
}

// TestAnswersAreAsDescribed asks for everything, and checks each answer against its
// schema.
func TestAnswersAreAsDescribed(t *testing.T) {
	doc := described(t)
	n := busyNode(t)
	n.Meet([]mesh.Peer{&teller{}}) // of whom it hears of seeds that are away
	n.Meet(nil)
	h := Handler(Config{Node: n, Backup: func(_ context.Context, dir string, report func(api.BackupState)) (api.BackupState, error) {
		if dir == "/taken" {
			return api.BackupState{}, errors.New("/taken is not empty")
		}
		report(api.BackupState{Of: 2})
		return api.BackupState{Large: 1, Of: 2, Missing: 1}, nil
	}})
	source := seed.Manifest{Name: "source", Kind: seed.Go, Contract: seed.Contract{Out: []packet.State{"String:RAW"}}, Retries: seed.Unlimited}
	if err := n.Host(t.Context(), source)[0]; err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, "it fails", func() bool { return n.Status(t.Context()).Seeds[2].Injector.Failed > 0 })
	var waiting, failed packet.ID
	for state, id := range map[packet.State]*packet.ID{"Large:DATA": &waiting, "Error:greet": &failed} {
		err := n.Rests(t.Context(), state, false, func(p node.Rested) bool { *id = p.ID; return false })
		if err != nil || id.IsZero() {
			t.Fatalf("there is no packet in %s: %v", state, err)
		}
	}
	unknown := packet.NewID().String()
	type request struct {
		op, path, kind, body string
		status               int
	}
	asks := []request{
		{"GET /api/v1/network", "/api/v1/network", "", "", 200},
		{"GET /api/v1/status", "/api/v1/status", "", "", 200},
		{"GET /api/v1/openapi.json", "/api/v1/openapi.json", "", "", 200},
		{"GET /healthz", "/healthz", "", "", 200},
		{"GET /readyz", "/readyz", "", "", 200},
		{"POST /api/v1/packets", "/api/v1/packets", api.LinesType, `{"state": "A:A", "data": "a"}`, 200},
		{"POST /api/v1/packets", "/api/v1/packets", api.PacketType, `{"state": "A"}`, 400},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/String:RAW/packets?wait=1ms", api.PacketType, `{"data": "Mars"}`, 200},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/A:A/packets?wait=10s", "text/plain", "raw", 200},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/A:A/packets", api.PacketType, `{"data64": "AP8=", "track": true, "goal": "B:B"}`, 200},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/A:A/packets", api.PacketType, `{}`, 400},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/A:A/packets", api.PacketType, `{"data": "", "data64": ""}`, 400},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/A:A/packets?wait=1h", "text/plain", "raw", 400},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/none/packets", "text/plain", "raw", 400},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/A:A/packets", "text/plain", strings.Repeat("x", 1<<20+1), 200},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/A:A/packets", "text/plain", strings.Repeat("x", 8<<20+1), 413},
		{"POST /api/v1/states/{state}/packets", "/api/v1/states/A:A/packets", api.PacketType, `{"data": "` + strings.Repeat("x", 3<<20) + `"}`, 413},
		{"GET /api/v1/ledgers/{id}", "/api/v1/ledgers/" + unknown, "", "", 200},
		{"DELETE /api/v1/ledgers/{id}", "/api/v1/ledgers/" + unknown, "", "", 200},
		{"GET /api/v1/ledgers/{id}", "/api/v1/ledgers/1", "", "", 400},
		{"GET /api/v1/trace/{id}", "/api/v1/trace/" + failed.String(), "", "", 200},
		{"GET /api/v1/trace/{id}", "/api/v1/trace/" + unknown, "", "", 404},
		{"GET /api/v1/trace/{id}", "/api/v1/trace/xyz", "", "", 400},
		{"GET /api/v1/trace/{id}/share", "/api/v1/trace/" + failed.String() + "/share", "", "", 200},
		{"GET /api/v1/trace/{id}/share", "/api/v1/trace/1/share", "", "", 400},
		{"GET /metrics", "/metrics", "", "", 200},
		{"POST /api/v1/backup", "/api/v1/backup", jsonType, `{"dir": "/new"}`, 200},
		{"POST /api/v1/backup", "/api/v1/backup", jsonType, `{"dir": "/taken"}`, 400},
		{"POST /api/v1/backup", "/api/v1/backup", jsonType, `{"folder": "/new"}`, 400},
	}
	for late, base := range map[string]string{"late1": "/api/v1", "late2": "/api/v1/network"} {
		asks = append(asks, []request{
			{"POST /forget/{name}", "/forget/" + late, "", "", 200},
			{"POST /forget/{name}", "/forget/end", "", "", 404},
			{"POST /forget/{name}", "/forget/no%20name", "", "", 400},
			{"GET /states/{state}/packets", "/states/String:GREETNG/packets?limit=10", "", "", 200},
			{"GET /states/{state}/packets", "/states/String:GREETING/packets", "", "", 200},
			{"GET /states/{state}/packets", "/states/Error:greet/packets?bytes=2", "", "", 200},
			{"GET /states/{state}/packets", "/states/Large:DATA/packets", "", "", 200},
			{"GET /states/{state}/packets", "/states/Large:DATA/packets?limit=0", "", "", 400},
			{"GET /packets/{id}", "/packets/" + failed.String(), "", "", 200},
			{"GET /packets/{id}", "/packets/" + unknown, "", "", 404},
			{"GET /packets/{id}/data", "/packets/" + waiting.String() + "/data", "", "", 200},
			{"GET /packets/{id}/data", "/packets/" + unknown + "/data", "", "", 404},
			{"GET /states/{state}/packets", "/states/String:GREETNG/packets?waiting=true", "lines", "", 200},
			{"GET /states/{state}/packets", "/states/Error:greet/packets?waiting=maybe", "", "", 400},
			{"POST /seeds/{name}/pause", "/seeds/greet/pause", "", "", 200},
			{"POST /seeds/{name}/pause", "/seeds/nobody/pause", "", "", 404},
			{"POST /seeds/{name}/pause", "/seeds/no%20name/pause", "", "", 400},
			{"POST /seeds/{name}/resume", "/seeds/greet/resume", "", "", 200},
			{"POST /retry", "/retry", jsonType, `{"ids": ["` + failed.String() + `"]}`, 200},
			{"POST /retry", "/retry", jsonType, `{"ids": ["` + unknown + `"]}`, 404},
			{"POST /drop", "/drop", jsonType, `{"states": ["Large:NONE"]}`, 404},
			{"POST /drop", "/drop", jsonType, `{"state": 1}`, 400},
		}...)
		for i := len(asks) - 22; i < len(asks); i++ {
			method, path, _ := strings.Cut(asks[i].op, " ")
			asks[i].op, asks[i].path = method+" "+base+path, base+asks[i].path
		}
	}
	asked := map[string]bool{}
	for _, a := range asks {
		method, path, _ := strings.Cut(a.op, " ")
		r := httptest.NewRequestWithContext(overSocket(t.Context()), method, a.path, strings.NewReader(a.body))
		r.Header.Set("Content-Type", a.kind)
		if a.kind == "lines" {
			r.Header.Set("Accept", api.LinesType)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		what := method + " " + a.path
		if w.Code != a.status {
			t.Errorf("%s: %d %s; expected %d", what, w.Code, w.Body, a.status)
			continue
		}
		item := doc.Paths.Find(path)
		if item == nil || item.GetOperation(method) == nil {
			t.Errorf("%s is not described", what)
			continue
		}
		answers := item.GetOperation(method).Responses
		described := answers.Default()
		if a.status == 200 {
			described, asked[a.op] = answers.Status(200), true
		}
		kind := w.Header().Get("Content-Type")
		content := described.Value.Content.Get(kind)
		switch {
		case content == nil:
			t.Errorf("%s answers %s; described are %v", what, kind, slices.Collect(maps.Keys(described.Value.Content)))
		case kind == api.LinesType:
			for line := range strings.Lines(w.Body.String()) {
				schema := doc.Components.Schemas["Packet"]
				if path == "/api/v1/backup" {
					schema = doc.Components.Schemas["BackupState"]
				}
				fits(t, schema, what, line)
			}
		case content.Schema != nil && strings.HasPrefix(kind, "application/"):
			fits(t, content.Schema, what, w.Body.String())
		}
		if strings.HasSuffix(path, "/retry") && a.status == 200 { // it fails again
			testenv.Eventually(t, 10*time.Second, "it waits again", func() bool {
				count := 0
				err := n.Rests(t.Context(), "Error:greet", false, func(node.Rested) bool { count++; return true })
				return err == nil && count == 1
			})
		}
	}
	for _, op := range operations(doc) {
		if !asked[op] && !strings.HasSuffix(op, "/drop") && !strings.HasSuffix(op, "/events") {
			t.Errorf("%s was never asked with success", op)
		}
	}
}

// overSocket is the context of a request that comes over the node's socket.
func overSocket(ctx context.Context) context.Context {
	return context.WithValue(ctx, http.LocalAddrContextKey, &net.UnixAddr{Name: "s", Net: "unix"})
}

// TestBackup: the node writes a backup for who comes through its socket, and says how
// it ended.
func TestBackup(t *testing.T) {
	var failure error
	run := func(_ context.Context, _ string, report func(api.BackupState)) (api.BackupState, error) {
		report(api.BackupState{Of: 3})
		return api.BackupState{Large: 1, Of: 3}, failure
	}
	ask := func(ctx context.Context, cfg Config) (int, string) {
		cfg.Node = quietNode()
		w := httptest.NewRecorder()
		Handler(cfg).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/backup", strings.NewReader(`{"dir": "/b"}`)))
		return w.Code, w.Body.String()
	}
	tcp := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	for _, ctx := range []context.Context{tcp, t.Context()} {
		if code, text := ask(ctx, Config{Backup: run}); code != http.StatusForbidden || !strings.Contains(text, "pmk store backup DIR") {
			t.Errorf("not through the socket: %d %s", code, text)
		}
	}
	if code, text := ask(overSocket(t.Context()), Config{}); code != http.StatusConflict {
		t.Errorf("a node without a store: %d %s", code, text)
	}
	const first = `{"large":0,"of":3,"missing":0,"done":false}` + "\n"
	if code, text := ask(overSocket(t.Context()), Config{Backup: run}); code != http.StatusOK || text != first+`{"large":1,"of":3,"missing":0,"done":true}`+"\n" {
		t.Errorf("%d %s", code, text)
	}
	failure = errors.New("the disk is full")
	if code, text := ask(overSocket(t.Context()), Config{Backup: run}); code != http.StatusOK || text != first+`{"large":1,"of":3,"missing":0,"done":false,"error":"the disk is full"}`+"\n" {
		t.Errorf("%d %s", code, text)
	}
}

// TestDataIsNeverShown: what a packet holds comes as something to keep.
func TestDataIsNeverShown(t *testing.T) {
	n := busyNode(t)
	page := []byte("<script>alert(1)</script>")
	p := packet.Packet{ID: packet.NewID(), State: "Page:RAW", Data: string(page)}
	if err := n.Inject(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	Handler(Config{Node: n}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/packets/"+p.ID.String()+"/data", nil))
	got, err := io.ReadAll(w.Body)
	if err != nil || !bytes.Equal(got, page) {
		t.Errorf("the data is %q, %v", got, err)
	}
	head := w.Header()
	if head.Get("Content-Type") != "application/octet-stream" || head.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(head.Get("Content-Disposition"), "attachment") {
		t.Errorf("it comes with %v", head)
	}
}
