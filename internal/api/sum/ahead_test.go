package sum

import (
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/seed"
)

// TestAhead adds up what lies in queues and inboxes of all nodes.
func TestAhead(t *testing.T) {
	line := predict.Line{Packet: 1e6, Byte: 1000, Bytes: 100, Mean: 1, Error: 0.1, Measured: 10}
	at := func(stored, queued int) api.SeedStatus {
		return api.SeedStatus{
			Manifest: seed.Manifest{Name: "a"}, StoredBytes: int64(stored) * (1000 + around),
			Figures: api.Figures{Workers: 1, Prediction: line, Stored: stored, Queued: queued, QueuedBytes: queued * (1000 + around)},
		}
	}
	large := line
	large.Bytes = 1e6
	nodes := []api.Member{
		{Status: api.Status{Seeds: []api.SeedStatus{at(300, 20), {Manifest: seed.Manifest{Name: "idle"}, Figures: api.Figures{Workers: 1}}}}},
		{Status: api.Status{Seeds: []api.SeedStatus{
			at(0, 100),
			{Manifest: seed.Manifest{Name: "large"}, Figures: api.Figures{Workers: 2, Prediction: large, Stored: 10}, StoredBytes: 10 * around},
		}}},
		{Status: api.Status{Inboxes: []api.Inbox{{Seed: "a", Packets: 600, Bytes: 600 * (1000 + around)}, {Seed: "far", Packets: 1}}}},
	}
	got := Ahead(nodes)
	if len(got) != 3 || got[0].Seed != "a" || got[1].Seed != "far" || got[2].Seed != "large" {
		t.Fatalf("ahead are %+v", got)
	}
	if a := got[0]; a.Packets != 1000 || a.Bytes != 1e6 || a.Drain.Time.Round(time.Millisecond) != time.Second {
		t.Errorf("before a lie %+v; two workers need 2 ms a packet", a)
	}
	if far := got[1]; far.Packets != 1 || far.Drain != (predict.Drain{}) {
		t.Errorf("a seed that no node answers for: %+v", far)
	}
	if l := got[2]; l.Bytes != 1e7 || l.Drain.Time.Round(time.Second) != 5*time.Second {
		t.Errorf("what lies beside the frames is not counted: %+v", l)
	}
}
