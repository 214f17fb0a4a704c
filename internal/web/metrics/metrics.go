// Package metrics shows what a node does to Prometheus. All figures are taken
// from the node's status when they are asked for: being watched costs a node
// nothing in between. docs/metrics.md lists them.
package metrics

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

const (
	// askTime is the longest that a look at the node may last.
	askTime = 5 * time.Second
	// atATime is how many may ask at the same time.
	atATime = 4
	// maxStates is how many states in which packets wait are shown by name: who
	// may send can think of any number of them. The others are one.
	maxStates = 200
	// Others is the state that stands for those.
	Others = "others"
)

// Handler serves the metrics of a node. What came from strangers is left out if
// ignored is nil, and who is not reached if outsiders is.
func Handler(n *node.Node, ignored func() mesh.Ignored, outsiders func() []mesh.Outsider) http.Handler {
	return promhttp.HandlerFor(Registry(n, ignored, outsiders), promhttp.HandlerOpts{
		MaxRequestsInFlight: atATime, Timeout: 2 * askTime,
	})
}

// Registry holds the metrics of a node, of its process and of Go.
func Registry(n *node.Node, ignored func() mesh.Ignored, outsiders func() []mesh.Outsider) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collector{node: n, ignored: ignored, outsiders: outsiders}, // describes itself by what it collects
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

type collector struct {
	node      *node.Node
	ignored   func() mesh.Ignored
	outsiders func() []mesh.Outsider
}

// Describe says nothing: which series there are depends on the seeds.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect looks at the node.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	st := c.node.Status(ctx)
	infoDesc.send(ch, 1, st.Node, st.Group, st.Version)
	startDesc.send(ch, seconds(st.Since))
	peersDesc.send(ch, float64(len(c.node.Peers())))
	lapsedDesc.send(ch, float64(c.node.Lapsed()))
	refusedDesc.send(ch, float64(len(st.Refused)))
	if c.ignored != nil {
		ignored := c.ignored()
		connectionsDesc.send(ch, float64(ignored.Connections))
		beaconsDesc.send(ch, float64(ignored.Beacons))
	}
	if c.outsiders != nil {
		unreached(ch, c.outsiders())
	}
	c.seeds(ch, st)
	waiting(ch, st.Waiting)
	for _, in := range st.Inboxes {
		inboxPacketsDesc.send(ch, float64(in.Packets), string(in.Seed))
		inboxBytesDesc.send(ch, float64(in.Bytes), string(in.Seed))
	}
	store(ch, st.Store)
	appendDesc.histogram(ch, c.node.AppendTimes())
}

// seeds sends what each seed of the node does.
func (c collector) seeds(ch chan<- prometheus.Metric, st node.Status) {
	behind := map[string]float64{}
	for _, b := range st.Behind {
		behind[string(b.Seed)] = 1
	}
	times := c.node.RunTimes()
	for _, s := range st.Seeds {
		name := string(s.Manifest.Name)
		inDesc.send(ch, float64(s.In), name)
		outDesc.send(ch, float64(s.Out), name)
		failedDesc.send(ch, float64(s.Failed), name)
		retriesDesc.send(ch, float64(s.Retries), name)
		errorsDesc.send(ch, float64(s.GaveUp), name)
		queuedDesc.send(ch, float64(s.Queued), name)
		queuedBytesDesc.send(ch, float64(s.QueuedBytes), name)
		storedDesc.send(ch, float64(s.Stored), name)
		storedBytesDesc.send(ch, float64(s.StoredBytes), name)
		runningDesc.send(ch, float64(s.Running), name)
		workersDesc.send(ch, float64(s.Workers), name)
		loaded := 1.0
		if s.Loading || s.NotLoaded != "" {
			loaded = 0
		}
		loadedDesc.send(ch, loaded, name)
		behindDesc.send(ch, behind[name], name)
		if i := s.Injector; i != nil {
			for _, state := range node.InjectorStates() {
				injectorDesc.send(ch, truth(i.State == state), name, string(state))
			}
			inARowDesc.send(ch, float64(i.Failed), name)
		}
		if s.Prediction.Known() {
			costDesc.send(ch, s.Cost.Seconds(), name)
			offDesc.send(ch, s.Prediction.Error, name)
		}
		if t := times[s.Manifest.Name]; t.Count > 0 {
			batchDesc.histogram(ch, t, name)
		}
	}
}

// unreached sends how many nodes are not reached, for each reason.
func unreached(ch chan<- prometheus.Metric, all []mesh.Outsider) {
	count := map[mesh.Reason]float64{}
	for _, o := range all {
		count[o.Reason]++
	}
	for _, reason := range mesh.Reasons() {
		unreachedDesc.send(ch, count[reason], string(reason))
	}
}

// waiting sends what waits, the states with most packets by name.
func waiting(ch chan<- prometheus.Metric, waits []node.Waiting) {
	slices.SortStableFunc(waits, func(a, b node.Waiting) int { return cmp.Compare(b.Packets, a.Packets) })
	var rest node.Waiting
	for i, w := range waits {
		if i < maxStates {
			sendWaiting(ch, w)
			continue
		}
		rest.State = packet.State(Others)
		rest.Packets += w.Packets
		rest.Bytes += w.Bytes
		if rest.Since.IsZero() || w.Since.Before(rest.Since) {
			rest.Since = w.Since
		}
	}
	if rest.Packets > 0 {
		sendWaiting(ch, rest)
	}
}

func sendWaiting(ch chan<- prometheus.Metric, w node.Waiting) {
	waitingDesc.send(ch, float64(w.Packets), string(w.State), string(w.Seed))
	waitingBytesDesc.send(ch, float64(w.Bytes), string(w.State), string(w.Seed))
	waitingSinceDesc.send(ch, seconds(w.Since), string(w.State), string(w.Seed))
}

// store sends how the node's store does.
func store(ch chan<- prometheus.Metric, s node.StoreStatus) {
	usedDesc.send(ch, float64(s.Used))
	sizeDesc.send(ch, float64(s.Size))
	reserveDesc.send(ch, float64(s.Reserve))
	holdingDesc.send(ch, truth(s.Held() != ""))
	writableDesc.send(ch, truth(s.Error == ""))
	damageDesc.send(ch, float64(len(s.Damage)))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
