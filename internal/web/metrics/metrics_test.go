package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// run runs a node until the test ends: its seed work fails on what is "bad", and
// what it gives waits; its injector source gives up at once.
func run(t *testing.T) *node.Node {
	t.Helper()
	n := node.New(node.Config{
		Name: "test", Version: "1", Store: pebble.InMemory(pebble.Config{}), Durability: node.Memory,
		Kinds: runner.Kinds{seed.Go: gofn.Kind(func(m seed.Manifest) gofn.Func {
			return func(_ context.Context, p packet.Packet, emit gofn.Emit) error {
				if m.Name == "source" {
					return errors.New("no broker")
				}
				if p.Data == "bad" {
					return errors.New("it is bad")
				}
				return emit("", p.Data)
			}
		})},
	})
	m := seed.Manifest{Name: "work", Kind: seed.Go, Retries: 1, Contract: seed.Contract{In: []packet.State{"A:IN"}, Out: []packet.State{"A:OUT"}}}
	source := seed.Manifest{Name: "source", Kind: seed.Go, Contract: seed.Contract{Out: []packet.State{"A:SOURCE"}}}
	if err := errors.Join(n.Host(t.Context(), m, source)...); err != nil {
		t.Fatal(err)
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
	return n
}

func put(t *testing.T, n *node.Node, state packet.State, data string) {
	t.Helper()
	if err := n.Inject(t.Context(), packet.Packet{State: state, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// busy is a node that has done some of everything.
func busy(t *testing.T) *node.Node {
	t.Helper()
	n := run(t)
	for range 10 {
		put(t, n, "A:IN", "good")
	}
	put(t, n, "A:IN", "bad")
	testenv.Eventually(t, 10*time.Second, "all has come through", func() bool {
		packets, st := 0, n.Status(t.Context())
		for _, w := range st.Waiting {
			packets += w.Packets
		}
		return packets == 11 && st.Seeds[0].Injector.State == node.InjectorGaveUp
	})
	return n
}

func ignored() mesh.Ignored { return mesh.Ignored{Connections: 2, Beacons: 3} }

func outsiders() []mesh.Outsider {
	return []mesh.Outsider{{Reason: mesh.NoAnswer}, {Reason: mesh.OneWay}, {Reason: mesh.NoAnswer}}
}

// scrape asks as Prometheus does.
func scrape(t *testing.T, n *node.Node, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	server := httptest.NewServer(Handler(n, ignored, outsiders))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the answer is %s", resp.Status)
	}
	families := map[string]*dto.MetricFamily{}
	format := expfmt.ResponseFormat(resp.Header)
	if format.FormatType() == expfmt.TypeTextPlain {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err = parser.TextToMetricFamilies(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return families
	}
	dec := expfmt.NewDecoder(resp.Body, format)
	for {
		f := new(dto.MetricFamily)
		if err := dec.Decode(f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		families[f.GetName()] = f
	}
	return families
}

// value is that of the only series of a metric with these label values.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		var got []string
		for _, l := range m.GetLabel() {
			got = append(got, l.GetValue())
		}
		if fmt.Sprint(got) == fmt.Sprint(labels) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Errorf("there is no %s%q", name, labels)
	return -1
}

func TestScrape(t *testing.T) {
	n := busy(t)
	for _, accept := range []string{"text/plain", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		families := scrape(t, n, accept)
		for _, c := range []struct {
			name   string
			labels []string
			want   float64
		}{
			{"pumpkin_node_info", []string{"default", "test", "1"}, 1},
			{"pumpkin_peers", nil, 0},
			{"pumpkin_seed_in_packets_total", []string{"work"}, 12},
			{"pumpkin_seed_out_packets_total", []string{"work"}, 10},
			{"pumpkin_seed_failed_runs_total", []string{"work"}, 2},
			{"pumpkin_seed_retries_total", []string{"work"}, 1},
			{"pumpkin_seed_errors_total", []string{"work"}, 1},
			{"pumpkin_seed_stored_packets", []string{"work"}, 0},
			{"pumpkin_seed_behind", []string{"work"}, 0},
			{"pumpkin_seed_failed_runs_total", []string{"source"}, 1},
			{"pumpkin_injector_failed_runs", []string{"source"}, 1},
			{"pumpkin_injector_state", []string{"source", "gave up"}, 1},
			{"pumpkin_injector_state", []string{"source", "failed"}, 0},
			{"pumpkin_waiting_packets", []string{"", "A:OUT"}, 10},
			{"pumpkin_waiting_packets", []string{"", "Error:work"}, 1},
			{"pumpkin_store_writable", nil, 1},
			{"pumpkin_store_holding", nil, 0},
			{"pumpkin_ignored_connections_total", nil, 2},
			{"pumpkin_ignored_beacons_total", nil, 3},
			{"pumpkin_unreached_nodes", []string{"no-answer"}, 2},
			{"pumpkin_unreached_nodes", []string{"one-way"}, 1},
			{"pumpkin_unreached_nodes", []string{"refused"}, 0},
		} {
			if got := value(t, families, c.name, c.labels...); got != c.want {
				t.Errorf("%s: %s%q is %v, want %v", accept[:10], c.name, c.labels, got, c.want)
			}
		}
		for _, name := range []string{"pumpkin_store_used_bytes", "pumpkin_store_append_duration_seconds", "go_goroutines", "pumpkin_node_start_time_seconds"} {
			if got := value(t, families, name); got <= 0 {
				t.Errorf("%s: %s is %v", accept[:10], name, got)
			}
		}
		if since := value(t, families, "pumpkin_waiting_oldest_timestamp_seconds", "", "A:OUT"); time.Since(time.Unix(int64(since), 0)) > time.Minute {
			t.Errorf("the oldest waits since %v", since)
		}
		for _, name := range []string{"pumpkin_seed_batch_duration_seconds", "pumpkin_seed_packet_cost_seconds", "pumpkin_seed_prediction_error_ratio"} {
			if got := value(t, families, name, "work"); got <= 0 {
				t.Errorf("%s: %s is %v", accept[:10], name, got)
			}
		}
	}
}

// TestHistogramsAreNative: their buckets add up, and their sum lies within them.
func TestHistogramsAreNative(t *testing.T) {
	families := scrape(t, busy(t), "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	h := families["pumpkin_store_append_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSchema() != 2 || len(h.GetPositiveSpan()) == 0 {
		t.Fatalf("it is no native histogram: %v", h)
	}
	var count, each int64
	for _, delta := range h.GetPositiveDelta() {
		each += delta
		count += each
	}
	if uint64(count) != h.GetSampleCount() || h.GetSampleSum() <= 0 {
		t.Errorf("the buckets hold %d of %d, which took %v s", count, h.GetSampleCount(), h.GetSampleSum())
	}
}

func TestNames(t *testing.T) {
	problems, err := testutil.GatherAndLint(Registry(busy(t), ignored, outsiders))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestStatesAreBounded: whoever sends to a thousand states does not make a
// thousand series.
func TestStatesAreBounded(t *testing.T) {
	n := run(t)
	const states = maxStates + 50
	put(t, n, "S:MANY", "x")
	for i := range states {
		put(t, n, packet.State(fmt.Sprintf("S:S%d", i)), "x")
	}
	put(t, n, "S:MANY", "x")
	families := scrape(t, n, "text/plain")
	if got := len(families["pumpkin_waiting_packets"].GetMetric()); got != maxStates+1 {
		t.Errorf("%d states are shown by name, and the others", got-1)
	}
	if many := value(t, families, "pumpkin_waiting_packets", "", "S:MANY"); many != 2 {
		t.Errorf("in the state with most packets there are %v", many)
	}
	if rest := value(t, families, "pumpkin_waiting_packets", "", Others); rest != states+1-maxStates {
		t.Errorf("in the other states there are %v packets", rest)
	}
}
