package api

import (
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Status is what a node is doing at one moment.
type Status struct {
	Node    string       `json:"node"`
	Group   string       `json:"group"`
	Run     string       `json:"run"`
	Since   time.Time    `json:"since"`
	Seeds   []SeedStatus `json:"seeds"`
	Waiting []Waiting    `json:"waiting"`
	// Inboxes are those of seeds that other nodes host: they pull from here.
	Inboxes []Inbox `json:"inboxes,omitempty"`
	Store   Store   `json:"store"`
	// Away are the seeds that no node hosts now and for which packets are kept.
	Away []Away `json:"away,omitempty"`
	// Version is that of the program.
	Version string `json:"version,omitempty"`
	// Refused are the seeds that the node does not host because the network has
	// another contract under their name.
	Refused []Refused `json:"refused,omitempty"`
	// Leaving says that the node finishes what it has and ends.
	Leaving bool `json:"leaving,omitempty"`
	// Behind are the seeds for which more comes into this node's store than is
	// done, by name.
	Behind []Behind `json:"behind,omitempty"`
	// Folders are those whose files become packets.
	Folders []Folder `json:"folders,omitempty"`
	Load    Load     `json:"load"`
}

// A SeedStatus is what one seed of a node is doing.
type SeedStatus struct {
	Manifest seed.Manifest `json:"manifest"`
	Figures
	// Filtered counts the packets for which it gave nothing, though its contract has outputs.
	Filtered uint64 `json:"filtered,omitempty"`
	// Retries counts the failed runs after which a packet is tried again, GaveUp the packets
	// that went to the seed's Error: state.
	Retries uint64 `json:"retries"`
	GaveUp  uint64 `json:"gave_up"`
	// StoredBytes is the size of what is Stored, without large data.
	StoredBytes int64 `json:"stored_bytes"`
	// InStates and OutStates are In and Out by the states of the contract.
	InStates  map[packet.State]uint64 `json:"in_states,omitempty"`
	OutStates map[packet.State]uint64 `json:"out_states,omitempty"`
	// Injector is how an injector does; nil of other seeds.
	Injector *InjectorStatus `json:"injector,omitempty"`
}

// Figures are what is said of a seed on one node wherever it is shown.
type Figures struct {
	// Since is when the node began to host a seed of this name and contract.
	Since time.Time `json:"since"`
	// In counts the packets that the seed was given, retries included; an
	// injector's are its runs. Out counts what it gave, Failed the runs that
	// failed.
	In     uint64 `json:"in"`
	Out    uint64 `json:"out"`
	Failed uint64 `json:"failed"`
	// Queued are the packets in its queue, retries that wait for their time
	// included, and QueuedBytes their size.
	Queued      int `json:"queued"`
	QueuedBytes int `json:"queued_bytes"`
	// Stored are the packets in its inbox in the store, those included that
	// were pulled and have not ended.
	Stored int `json:"stored"`
	// Running are the workers that have packets now, Workers the most there
	// may be.
	Running int `json:"running"`
	Workers int `json:"workers"`
	// Cost is the running estimate of what one packet of the mean size takes; 0
	// while nothing is known. Prediction is what is known of it by size.
	Cost       time.Duration `json:"cost_ns"`
	Prediction predict.Line  `json:"prediction"`
	// Paused: the seed takes no packets on this node until somebody resumes it.
	Paused bool `json:"paused,omitempty"`
	// Loading: the seed is loaded for the first time; NotLoaded is why it could not be
	// loaded last, or no worker be started, which is tried again. Its packets wait in
	// its inbox meanwhile.
	Loading   bool   `json:"loading,omitempty"`
	NotLoaded string `json:"not_loaded,omitempty"`
	// Interpreter is what runs the file of a Python seed; "" before it is loaded.
	Interpreter string `json:"interpreter,omitempty"`
	// Silent says which packets a program in lines mode does not answer; "" for none.
	Silent string `json:"silent,omitempty"`
	// Errors are its failures lately, the newest first.
	Errors []SeedError `json:"errors,omitempty"`
}

// A SeedError is one way in which a seed has failed lately on a node.
type SeedError struct {
	// At is when it failed so last, and Count how often since it is remembered.
	At    time.Time `json:"at"`
	Count int       `json:"count"`
	Error string    `json:"error"`
	// Next is when the packet that failed so last is tried again, or the injector started; zero if
	// it is not, or where NotLoaded says it.
	Next time.Time `json:"next,omitzero"`
	// Output is the end of what the seed had printed then.
	Output string `json:"output,omitempty"`
}

// An InjectorState says what an injector does: running, waiting (for its first run, or for the
// next with pmk-every), failed (it is started again), gave up, ended.
type InjectorState string

// The states that need a word from whoever draws them.
const (
	InjectorRunning InjectorState = "running"
	InjectorWaiting InjectorState = "waiting"
	InjectorFailed  InjectorState = "failed"
	InjectorGaveUp  InjectorState = "gave up"
)

// An InjectorStatus is how an injector does on one node.
type InjectorStatus struct {
	State InjectorState `json:"state"`
	// Failed counts the runs that have failed one after the other: it is 0 again when one has
	// ended well, or has gone on for a minute.
	Failed int `json:"failed"`
	// Next is when it is started again; zero while it runs and after its end.
	Next time.Time `json:"next,omitzero"`
}

// Text says how an injector fails, and what comes next; "" if it does not.
func (i InjectorStatus) Text(now time.Time) string {
	if i.Failed == 0 {
		return ""
	}
	runs := "its last run has failed"
	if i.Failed > 1 {
		runs = fmt.Sprintf("its last %d runs have failed", i.Failed)
	}
	switch i.State {
	case InjectorRunning:
		return runs + ", and it was started again"
	case InjectorFailed, InjectorWaiting:
		return fmt.Sprintf("%s, and it is started again in %v", runs, max(i.Next.Sub(now), 0).Round(time.Second))
	}
	return runs + ", and it is not started again: edit it, or start its node again"
}

// Waiting are the packets that wait in one state, or in the inbox of a seed
// that no node hosts.
type Waiting struct {
	State   packet.State `json:"state,omitempty"`
	Seed    seed.Name    `json:"seed,omitempty"`
	Packets int          `json:"packets"`
	Bytes   int64        `json:"bytes"`
	Since   time.Time    `json:"since"`
	Why     string       `json:"why"`
}

// Place is the state or the inbox, as people see it.
func (w Waiting) Place() string {
	if w.Seed != "" {
		return "inbox of " + string(w.Seed)
	}
	return string(w.State)
}

// An Inbox is what lies on a node for a seed that other nodes host.
type Inbox struct {
	Seed    seed.Name `json:"seed"`
	Packets int       `json:"packets"`
	Bytes   int64     `json:"bytes"`
	Since   time.Time `json:"since"`
}

// The durabilities of a store that outlives its node: on its disk, and in a cluster.
const (
	OnDisk    = "disk"
	InCluster = "cluster"
)

// A Store is how the node's store does.
type Store struct {
	// Durability is disk, memory, none or cluster.
	Durability string `json:"durability"`
	// Used are the bytes of what lies in it, Size those that packets from
	// outside may take (0: no bound), Reserve what their descendants may take
	// beyond.
	Used    int64 `json:"used"`
	Size    int64 `json:"size"`
	Reserve int64 `json:"reserve"`
	// Refusing: packets wait now to be stored, since there is no room for them;
	// the store need not be full to the last byte for that.
	Refusing bool `json:"refusing,omitempty"`
	// Error says why the store takes nothing now; "" when it does.
	Error string `json:"error,omitempty"`
	// Damage are what was found broken in it, a line each.
	Damage []string `json:"damage,omitempty"`
	// Held says why packets from outside have to wait, "" when they do not.
	Held string `json:"held,omitempty"`
}

// An Away is a seed that no node hosts now, and that stays an acceptor.
type Away struct {
	Seed     seed.Name     `json:"seed"`
	Contract seed.Contract `json:"contract"`
	// Nodes are those that hosted it and have not removed it.
	Nodes []string `json:"nodes"`
	// For is how long it is away already, as far as the node has run meanwhile.
	For time.Duration `json:"for_ns"`
	// Text says that for people: away for 3 min.
	Text string `json:"text"`
	// Packets and Bytes are what the node keeps for it; large data does not count.
	Packets int   `json:"packets"`
	Bytes   int64 `json:"bytes"`
}

// A Refused is a seed that a node does not host, and why.
type Refused struct {
	Manifest seed.Manifest `json:"manifest"`
	Why      string        `json:"why"`
}

// A Behind is a seed for which more comes into a node's store than is done.
type Behind struct {
	Seed seed.Name `json:"seed"`
	predict.Behind
}

// A Folder is one whose files become packets: how many were taken and refused since the
// start, how many lie there that are none to take, and how many are written to.
type Folder struct {
	Dir      string `json:"dir"`
	Taken    int    `json:"taken"`
	Refused  int    `json:"refused"`
	Left     int    `json:"left"`
	Changing int    `json:"changing"`
}

// A Load is how busy a node is.
type Load struct {
	// CPUs is how many there are, and CPUTime how long the node and its workers
	// that have ended have had one since the start.
	CPUs    int           `json:"cpus"`
	CPUTime time.Duration `json:"cpu_ns"`
	// Running are the workers of all seeds that have packets, Queued the packets
	// in all queues.
	Running int `json:"running"`
	Queued  int `json:"queued"`
}

// Health is the answer of a node that is well.
type Health struct {
	Status string `json:"status"` // "ok"
}
