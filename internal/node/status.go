package node

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Status is what a node is doing at one moment.
type Status struct {
	Node    string
	Group   string
	Run     string
	Since   time.Time
	Seeds   []SeedStatus
	Waiting []Waiting
	// Inboxes are those of seeds that other nodes host: they pull from here.
	Inboxes []Inbox
	Store   StoreStatus
	// Away are the seeds that no node hosts now and for which packets are kept.
	Away []Away
	// Version is that of the program.
	Version string
	// Refused are the seeds that the node does not host because the network has
	// another contract under their name.
	Refused []mesh.Refused
	// Leaving says that the node finishes what it has and ends.
	Leaving bool
	// Behind are the seeds for which more comes into this node's store than is
	// done, by name.
	Behind []Behind
	// Folders are those whose files become packets.
	Folders []Folder
	Load    Load
}

// ShowFolders has [Node.Status] show the folders that list gives.
func (r *roster) ShowFolders(list func() []Folder) { r.folders.Store(&list) }

// A Load is how busy a node is.
type Load struct {
	// CPUs is how many there are, and CPUTime how long the node and its workers
	// that have ended have had one since the start.
	CPUs    int
	CPUTime time.Duration
	// Running are the workers of all seeds that have packets, Queued the packets
	// in all queues.
	Running int
	Queued  int
}

// A SeedStatus is what one seed of a node is doing.
type SeedStatus struct {
	Manifest seed.Manifest
	// Since is when the node began to host a seed of this name and contract.
	Since time.Time
	// In counts the packets that the seed was given, retries included; an
	// injector's are its runs. Out counts what it gave, Failed the runs that
	// failed.
	In     uint64
	Out    uint64
	Failed uint64
	// Filtered counts the packets for which it gave nothing, though its contract has outputs.
	Filtered uint64
	// Retries counts the failed runs after which a packet is tried again.
	Retries uint64
	// Queued are the packets in its queue, retries that wait for their time
	// included, and QueuedBytes their size.
	Queued      int
	QueuedBytes int
	// Stored are the packets in its inbox in the store, those included that
	// were pulled and have not ended.
	Stored int
	// StoredBytes is the size of those, without large data.
	StoredBytes int64
	// Running are the workers that have packets now, Workers the most there
	// may be.
	Running int
	Workers int
	// Cost is the running estimate of what one packet of the mean size takes; 0
	// while nothing is known.
	Cost time.Duration
	// InStates and OutStates are In and Out by the states of the contract.
	InStates  map[packet.State]uint64
	OutStates map[packet.State]uint64
	// GaveUp counts the packets that went to the seed's Error: state.
	GaveUp uint64
	// Paused: the seed takes no packets on this node until somebody resumes it.
	Paused bool
	// Loading: the seed is loaded for the first time; NotLoaded is why it could not be
	// loaded last, or no worker be started, which is tried again. Its packets wait in
	// its inbox meanwhile.
	Loading   bool
	NotLoaded string
	// Interpreter is what runs the file of a Python seed; "" before it is loaded.
	Interpreter string
	// Silent says which packets a program in lines mode does not answer; "" for none.
	Silent string
	// Errors are its failures lately, the newest first.
	Errors []SeedError
	// Injector is how an injector does; nil of other seeds.
	Injector *InjectorStatus
	// Prediction is what is known of the cost by size.
	Prediction predict.Line
}

// Waiting are the packets that wait in one state, or in the inbox of a seed
// that no node hosts.
type Waiting struct {
	State   packet.State
	Seed    seed.Name
	Packets int
	Bytes   int64
	Since   time.Time
	Why     string
}

// An Inbox is what lies here for a seed that other nodes host.
type Inbox struct {
	Seed    seed.Name
	Packets int
	Bytes   int64
	Since   time.Time
}

// A StoreStatus is how the node's store does.
type StoreStatus struct {
	// Durability is disk, memory, none or [InCluster].
	Durability string
	// Used are the bytes of what lies in it, Size those that packets from
	// outside may take (0: no bound), Reserve what their descendants may take
	// beyond.
	Used    int64
	Size    int64
	Reserve int64
	// Refusing: packets wait now to be stored, since there is no room for them;
	// the store need not be full to the last byte for that.
	Refusing bool
	// Error says why the store takes nothing now; "" when it does.
	Error string
	// Damage are what was found broken in it, a line each.
	Damage []string
}

// Held says why packets from outside have to wait, "" when they do not.
func (s StoreStatus) Held() string {
	switch {
	case s.Error != "":
		return s.Error
	case s.Refusing, s.Size > 0 && s.Used >= s.Size:
		return "its store is full"
	}
	return ""
}

// Status looks at the node.
func (r *roster) Status(ctx context.Context) Status {
	st := Status{Node: r.cfg.Name, Group: r.cfg.Group, Run: r.cfg.Run, Since: r.clock.base, Store: r.StoreStatus(),
		Seeds: []SeedStatus{}, Waiting: []Waiting{},
		Version: r.cfg.Version, Refused: r.Refused(), Leaving: r.injecting.Err() != nil, Behind: r.backlogs.behind(),
	}
	if list := r.folders.Load(); list != nil {
		st.Folders = (*list)()
	}
	places, err := r.store.Queues(ctx)
	if err != nil && st.Store.Error == "" {
		st.Store.Error = err.Error()
	}
	snap := r.snap.Load()
	st.Away = r.Away()
	stored := map[seed.Name]store.Count{}
	for _, c := range places {
		name, inbox := c.Queue.Seed()
		switch {
		case inbox && snap.hosts[name] != nil:
			stored[name] = c
		case inbox && snap.hosted(name):
			st.Inboxes = append(st.Inboxes, Inbox{Seed: name, Packets: c.Packets, Bytes: c.Bytes, Since: c.Since})
		case inbox && snap.away[name]:
			st.Waiting = append(st.Waiting, st.keep(name, c))
		case inbox:
			st.Waiting = append(st.Waiting, Waiting{
				Seed: name, Packets: c.Packets, Bytes: c.Bytes, Since: c.Since, Why: "no node hosts the seed " + string(name),
			})
		default:
			if state, ok := c.Queue.State(); ok {
				st.Waiting = append(st.Waiting, Waiting{
					State: state, Packets: c.Packets, Bytes: c.Bytes, Since: c.Since, Why: r.whyWaiting(snap, state),
				})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(snap.hosts)) {
		s := snap.hosts[name].status()
		s.Stored, s.StoredBytes = stored[name].Packets, stored[name].Bytes
		st.Seeds = append(st.Seeds, s)
		st.Load.Running += s.Running
		st.Load.Queued += s.Queued
	}
	st.Load.CPUs, st.Load.CPUTime = runtime.GOMAXPROCS(0), cpuTime()
	slices.SortFunc(st.Waiting, func(a, b Waiting) int {
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(a.Seed, b.Seed))
	})
	return st
}

// keep notes what lies in the inbox of a seed that is away.
func (st *Status) keep(name seed.Name, c store.Count) Waiting {
	w := Waiting{Seed: name, Packets: c.Packets, Bytes: c.Bytes, Since: c.Since, Why: "kept for " + string(name) + ", which is away"}
	for i := range st.Away {
		if a := &st.Away[i]; a.Seed == name {
			a.Packets, a.Bytes = c.Packets, c.Bytes
			w.Why = "kept for " + string(name) + ", " + a.Text()
		}
	}
	return w
}

// StoreStatus looks at the node's store alone, which is cheap.
func (r *roster) StoreStatus() StoreStatus {
	st := r.store.State()
	durability := r.cfg.Durability.String()
	if _, ok := r.store.(store.Shared); ok {
		durability = InCluster
	}
	out := StoreStatus{Durability: durability, Used: st.Used, Size: st.Size, Reserve: st.Reserve, Damage: st.Damage, Refusing: r.trouble.Load()}
	if st.Err != nil {
		out.Error = st.Err.Error()
	}
	if count := r.damage.Load(); count > 0 {
		out.Damage = append(out.Damage, english.Plural(int(count), "frame", "")+" could not be read since the start")
	}
	return out
}

// whyWaiting says why the packets of a state wait.
func (r *roster) whyWaiting(snap *snapshot, state packet.State) string {
	if len(snap.accept[state]) > 0 {
		r.waits.mu.Lock()
		defer r.waits.mu.Unlock()
		if st := r.waits.states[state]; st != nil && st.why != "" {
			return st.why
		}
		return "it is about to be sent on"
	}
	return snap.whyWaits(&packet.Packet{State: state})
}

// Network is the automaton of what the node hosts now.
func (r *roster) Network() *dtn.Network { return r.snap.Load().net }

func (h *host) status() SeedStatus {
	st := SeedStatus{Manifest: h.declared(), Since: h.since, Workers: len(h.slots), Cost: h.cost.get(), Prediction: h.cost.line()}
	st.In, st.Out, st.Failed = h.counts()
	st.InStates, st.OutStates = h.countsByState()
	st.GaveUp, st.Paused, st.Errors = h.gaveUps.Load(), h.paused(), h.faults.errors()
	st.Retries, st.Filtered = h.retries.Load(), h.filtered()
	if l := h.unloaded.Load(); l != nil {
		if err := l.why(); err != nil {
			st.NotLoaded = err.Error()
		} else {
			st.Loading = true
		}
	}
	if l := h.loaded.Load(); l != nil {
		st.Interpreter = l.Interpreter
		if l.Silent != nil {
			st.Silent = l.Silent()
		}
	}
	st.Queued, st.QueuedBytes = h.queue.look()
	st.Running = h.busy()
	if h.manifest.Contract.Injector() {
		injector := h.starts.status(time.Now())
		st.Injector = &injector
	}
	return st
}
