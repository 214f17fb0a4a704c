package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/recap/pumpkin/internal/node"
)

// A desc is one metric.
type desc struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) desc {
	return desc{prometheus.NewDesc("pumpkin_"+name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) desc {
	return desc{prometheus.NewDesc("pumpkin_"+name, help, labels, nil), prometheus.CounterValue}
}

// These never change.
var (
	infoDesc        = gauge("node_info", "Always 1; the labels say which node it is.", "node", "group", "version")
	startDesc       = gauge("node_start_time_seconds", "When the node started, in seconds since 1970.")
	peersDesc       = gauge("peers", "Peers: other nodes of the network that this one is connected to.")
	unreachedDesc   = gauge("unreached_nodes", "Nodes that were seen and are not reached, or met one way only.", "reason")
	lapsedDesc      = counter("lease_losses_total", "Frames of this node's store whose lease was lost because the peer was silent for too long, or died.")
	refusedDesc     = gauge("refused_seeds", "Seeds that do not run here because the network has another contract under their name.")
	connectionsDesc = counter("ignored_connections_total", "Connections that came without the network's key.")
	beaconsDesc     = counter("ignored_beacons_total", "Beacons that came without the network's key.")

	inDesc          = counter("seed_in_packets_total", "Packets that the seed was given, retries included; an injector's are its runs.", "seed")
	outDesc         = counter("seed_out_packets_total", "Packets that the seed gave.", "seed")
	failedDesc      = counter("seed_failed_runs_total", "Runs of the seed that failed.", "seed")
	retriesDesc     = counter("seed_retries_total", "Failed runs after which the packet is tried again.", "seed")
	errorsDesc      = counter("seed_errors_total", "Packets that went to the state Error: of the seed.", "seed")
	queuedDesc      = gauge("seed_queued_packets", "Packets in the seed's queue in memory, retries that wait included.", "seed")
	queuedBytesDesc = gauge("seed_queued_bytes", "Size of the packets in the seed's queue in memory.", "seed")
	storedDesc      = gauge("seed_stored_packets", "Packets in the seed's inbox in this node's store, including leased ones that have not ended.", "seed")
	storedBytesDesc = gauge("seed_stored_bytes", "Size of the packets in the seed's inbox, without large data.", "seed")
	runningDesc     = gauge("seed_running_workers", "Workers of the seed that have packets now.", "seed")
	workersDesc     = gauge("seed_workers", "The most workers that the seed may have.", "seed")
	behindDesc      = gauge("seed_behind", "1 while the seed falls behind: more packets come in than it runs; else 0.", "seed")
	costDesc        = gauge("seed_packet_cost_seconds", "Predicted time that one worker takes for a packet of the mean size.", "seed")
	offDesc         = gauge("seed_prediction_error_ratio", "Median error of recent predictions of a batch, as a ratio.", "seed")
	batchDesc       = gauge("seed_batch_duration_seconds", "How long the seed took for a batch of up to 256 packets; for Go functions that are called directly, for one packet in 64.", "seed")
	injectorDesc    = gauge("injector_state", "1 for what the injector does: running, waiting, failed (it is started again), gave up or ended; 0 for the others.", "seed", "state")
	inARowDesc      = gauge("injector_failed_runs", "Runs of the injector that have failed one after the other; 0 when one has ended well or has gone on for a minute.", "seed")
	loadedDesc      = gauge("seed_loaded", "0 while the seed is not loaded, or no worker of it can be started, else 1.", "seed")

	waitingDesc      = gauge("waiting_packets", "Packets that wait in a state that no seed accepts, or in the inbox of a seed that no node hosts now.", "state", "seed")
	waitingBytesDesc = gauge("waiting_bytes", "Size of the packets that wait, without large data.", "state", "seed")
	waitingSinceDesc = gauge("waiting_oldest_timestamp_seconds", "When the oldest of them was stored, in seconds since 1970.", "state", "seed")
	inboxPacketsDesc = gauge("inbox_packets", "Packets in this node's store for a seed that other nodes host.", "seed")
	inboxBytesDesc   = gauge("inbox_bytes", "Size of these packets.", "seed")

	usedDesc     = gauge("store_used_bytes", "Bytes in the store.")
	sizeDesc     = gauge("store_size_bytes", "Bytes up to which packets from outside are taken; 0 means no bound.")
	reserveDesc  = gauge("store_reserve_bytes", "Bytes beyond that size for what seeds give.")
	holdingDesc  = gauge("store_holding", "1 while injectors and senders have to wait for the store, else 0.")
	writableDesc = gauge("store_writable", "0 while the store cannot be written, else 1.")
	damageDesc   = gauge("store_damage_findings", "How much damage was found in the store.")
	appendDesc   = gauge("store_append_duration_seconds", "How long an append took: until the frame was on disk, with its fsync, or in memory.")
)

func (d desc) send(ch chan<- prometheus.Metric, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d.Desc, d.kind, value, labels...)
}

// histogram sends durations as a native histogram.
func (d desc) histogram(ch chan<- prometheus.Metric, t node.Times, labels ...string) {
	// What is below a nanosecond counts as nothing; durations never are.
	const zero = float64(time.Nanosecond) / float64(time.Second) / 2
	m, err := prometheus.NewConstNativeHistogram(d.Desc, t.Count, t.Sum.Seconds(), t.Buckets, nil, 0, t.Schema, zero, time.Time{}, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d.Desc, err)
	}
	ch <- m
}
