package web

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// TestOneForm: a packet in JSON is a .pkt file, wherever it is listed, sent or traced, but for
// what is said beside it: where it lies, and what its data seems to be.
func TestOneForm(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	place, err := packet.ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err != nil {
		t.Fatal(err)
	}
	id := packet.NewID()
	p := packet.Packet{
		ID: id, Ship: packet.Ship{Root: id, Node: "lab"}, State: "Error:greet", Data: "\xff", Attempt: 2, DeadLetters: 1,
		Trail: &packet.Hop{Seed: "greet", Version: "1", Node: "lab", At: at, State: "S:RAW", Data: "Mars"},
		Fault: &packet.Fault{Error: "no good", Output: "Traceback", State: "S:GREETING", Attempts: 1},
		Wish:  &packet.Wish{Stop: "end", Goal: "S:END", GoalNode: "lab", Track: true, Trace: place, Deadline: at},
		Extra: &packet.Extra{ShipName: "m31", Attributes: packet.Attributes{"sample": "S07"}, Families: []packet.Family{{State: "S:RAW", ID: id}}, Round: 3},
	}
	listed, err := packetOf(quietNode(), &node.Rested{Packet: p, Since: at}, 100)
	if err != nil {
		t.Fatal(err)
	}
	want := valuesOf(t, packet.File{Packet: p})
	same := func(what string, got map[string]any, beside ...string) {
		t.Helper()
		for _, name := range beside {
			delete(got, name)
		}
		for name, value := range got {
			if wanted, _ := json.Marshal(want[name]); string(wanted) != textOf(t, value) {
				t.Errorf("%s has %s: %s; a .pkt file has %s", what, name, textOf(t, value), wanted)
			}
		}
	}
	all := valuesOf(t, listed)
	hop := all["hops"].([]any)[0].(map[string]any)
	for _, name := range []string{"size", "kind"} {
		delete(hop, name)
	}
	same("a list", all, "node", "since", "size", "kind", "hop_count")
	if missing := slices.DeleteFunc(slices.Collect(maps.Keys(want)), func(name string) bool { return all[name] != nil }); len(missing) > 0 {
		t.Errorf("a list has no %q", missing)
	}
	text := "\xff"
	same("what is sent", valuesOf(t, api.Sending{ID: id, State: p.State, Data: []byte(text), Stop: "end", Goal: "S:END", Track: true, Traceparent: place.String()}))
	same("what was taken", valuesOf(t, api.Sent{ID: id, Ship: p.Ship, State: p.State}), "node")
	same("a trace", valuesOf(t, trace.Rest{Packet: id, State: p.State, Failed: 2, Data: trace.HeadOf(text, 10)}), "node", "since", "size")
}

func textOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// valuesOf are those of a JSON object.
func valuesOf(t *testing.T, value any) (values map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(textOf(t, value)), &values); err != nil {
		t.Fatal(err)
	}
	return values
}
