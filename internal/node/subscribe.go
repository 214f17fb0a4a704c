package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// The subscriptions are a table of the own store: SEED 0 NODE is the key, a
// subscriptionRecord in JSON the value. A node without a disk keeps them in memory.
const subscriptionTable store.Table = "subscriptions"

type subscriptionRecord struct {
	mesh.Known
	Away time.Duration `json:"away_ns,omitempty"`
}

func (k subKey) record() store.Key {
	return store.Key{In: subscriptionTable, Key: string(k.seed) + "\x00" + k.node}
}

// tellAfter is how long a seed is away before the log says so: of a node that comes, others
// may hear by each other first.
const tellAfter = 2 * time.Second

// awayTick is how often a node looks at the seeds that are away.
const awayTick = time.Second

// Recall reads which seeds the node knows, once: what comes from outside before the
// first call may miss a seed that is away. Everything that routes packets later calls it.
func (n *Node) Recall() {
	n.recalled.Do(func() {
		if !n.durable() {
			return
		}
		_ = storePauses.Until(n.running, n.loadSubscriptions, n.storeTrouble)
	})
}

func (n *Node) loadSubscriptions() error {
	var found []subscriptionRecord
	err := n.store.Scan(n.running, subscriptionTable, "", func(key string, value []byte) bool {
		var r subscriptionRecord
		if err := json.Unmarshal(value, &r); err != nil {
			n.log.Warn("a record of a known seed cannot be read; the seed is known again when it runs", "seed", strings.Split(key, "\x00")[0], "error", err)
			return true
		}
		found = append(found, r)
		return true
	})
	if err != nil || len(found) == 0 {
		return err
	}
	n.change.Lock()
	defer n.change.Unlock()
	for _, r := range found {
		n.subs[subKey{r.Seed, r.Node}] = &subscription{Known: r.Known, away: r.Away}
	}
	if !n.closed {
		n.swap(maps.Clone(n.snap.Load().hosts), nil)
	}
	return nil
}

// resubscribe brings the subscriptions up to what runs now. The caller holds n.change.
func (n *Node) resubscribe(hosts map[seed.Name]*host) {
	self, shared := n.subscriber()
	all := hosted(n.cfg.Name, hosts, n.peers)
	var changed []subKey
	for name, h := range hosts {
		c := h.manifest.Contract
		if key := (subKey{name, self}); n.durable() && len(c.In) > 0 && !c.Join && n.subs.put(key, c) {
			changed = append(changed, key)
		}
	}
	if n.begun {
		for _, key := range n.subs.of(func(k subKey) bool { return k.node == self }) {
			ran := n.snap.Load().hosts[key.seed] != nil
			if n.told[key.seed] || shared && (!ran || slices.ContainsFunc(all, func(h dtn.Hosted) bool { return h.Manifest.Name == key.seed })) {
				continue
			}
			n.subs.remove(key)
			changed = append(changed, key)
			if !ran { // else who removed it says so
				n.log.Info(fmt.Sprintf("seed %s, which this node hosted before, was not loaded: nothing is kept for it here", key.seed))
			}
		}
	}
	n.saveLater(append(changed, n.subs.observe(all)...))
}

// subscriber is the name under which this node subscribes its seeds. Nodes that share a
// store are one subscriber: each has another name at its next start.
func (n *Node) subscriber() (name string, shared bool) {
	if _, shared := n.store.(store.Shared); shared {
		return sharedStore, true
	}
	return n.cfg.Name, false
}

// tellAway says which seeds are away now, and which are no longer waited for. The caller
// holds n.change.
func (n *Node) tellAway(snap *snapshot) {
	if !n.begun {
		return // what was here before is about to be loaded
	}
	for name, since := range n.subs.since(snap.away) {
		if since >= tellAfter && !n.toldAway[name] {
			n.toldAway[name] = true
			n.log.Info(fmt.Sprintf("seed %s is away: packets are kept for it until a node hosts it again; 'pmk forget %s' ends that", name, name))
		}
	}
	for name := range n.toldAway {
		if snap.away[name] {
			continue
		}
		delete(n.toldAway, name)
		if !snap.hosted(name) {
			n.log.Info(fmt.Sprintf("nothing is kept for the seed %s any more: it was removed from every node that hosted it", name))
		}
	}
}

// saveLater has subscriptions written down. The caller holds n.change.
func (n *Node) saveLater(keys []subKey) {
	if !n.durable() || len(keys) == 0 {
		return
	}
	for _, key := range keys {
		n.unsaved[key] = true
	}
	select {
	case n.toSave <- struct{}{}:
	default:
	}
}

// save writes down what has changed.
func (n *Node) save(ctx context.Context) {
	n.change.Lock()
	tx, keys := &store.Tx{Durable: true}, n.unsaved
	n.unsaved = map[subKey]bool{}
	for key := range keys {
		s := n.subs[key]
		if s == nil {
			tx.Delete = append(tx.Delete, key.record())
			continue
		}
		value, err := json.Marshal(subscriptionRecord{s.Known, s.away})
		if err != nil {
			panic("a record of a known seed: " + err.Error()) // it holds nothing that JSON has not
		}
		tx.Put = append(tx.Put, store.Record{Key: key.record(), Value: value})
	}
	n.change.Unlock()
	if len(keys) == 0 {
		return
	}
	if err := n.store.Commit(ctx, tx); err != nil {
		n.log.Debug("writing down which seeds are known", "error", err)
		n.change.Lock()
		for key := range keys {
			n.unsaved[key] = true // the next look tries again
		}
		n.change.Unlock()
	}
}

// keepSubscriptions writes down what is known of seeds, and ends what was away for too
// long or has too much kept for it, until the node ends.
func (n *Node) keepSubscriptions() {
	tick := time.NewTicker(awayTick)
	defer tick.Stop()
	last := n.clock.now()
	kept := map[seed.Name]*keptData{}
	for {
		select {
		case <-n.toSave:
		case <-tick.C:
			now := n.clock.now()
			n.passAway(now - last)
			last = now
			if err := n.boundKept(kept); err != nil && n.running.Err() == nil {
				n.log.Debug("looking at what is kept for seeds that are away", "error", err)
			}
		case <-n.running.Done():
			ctx, cancel := context.WithTimeout(context.Background(), awayTick)
			n.save(ctx)
			cancel()
			return
		}
		n.save(n.running)
	}
}

// passAway counts how long seeds are away.
func (n *Node) passAway(d time.Duration) {
	n.change.Lock()
	defer n.change.Unlock()
	ended, changed := n.subs.pass(d, n.cfg.Away)
	n.saveLater(changed)
	switch {
	case n.closed:
	case len(ended) > 0:
		n.swapWithout(ended, fmt.Sprintf("it was away for %v (--away)", n.cfg.Away))
	default:
		n.tellAway(n.snap.Load())
	}
}

// swapWithout makes the network anew since these subscriptions have ended, and says so of
// each seed that accepts nothing more. The caller holds n.change.
func (n *Node) swapWithout(keys []subKey, why string) {
	gone := map[seed.Name]bool{}
	for _, key := range keys {
		if len(n.subs.of(func(k subKey) bool { return k.seed == key.seed })) == 0 {
			gone[key.seed] = true
			delete(n.toldAway, key.seed)
		}
	}
	n.swap(maps.Clone(n.snap.Load().hosts), nil)
	for name := range gone {
		if !n.snap.Load().hosted(name) {
			n.log.Warn(fmt.Sprintf("nothing is kept for the seed %s any more: %s", name, why))
		}
	}
}

// keptData is the large data that lies in an inbox, up to a frame.
type keptData struct {
	next  uint64
	large int64
}

// boundKept ends the subscriptions for which more than a tenth of the store is kept.
func (n *Node) boundKept(kept map[seed.Name]*keptData) error {
	snap, st := n.snap.Load(), n.store.State()
	most := st.Size / 10
	if most == 0 || len(snap.away) == 0 {
		clear(kept)
		return nil
	}
	places, err := n.store.Queues(n.running)
	if err != nil {
		return err
	}
	inline := int64(0)
	for _, c := range places {
		inline += c.Bytes
	}
	for _, c := range places {
		name, inbox := c.Queue.Seed()
		if !inbox || !snap.away[name] {
			delete(kept, name)
			continue
		}
		bytes := c.Bytes
		if bytes <= most && bytes+st.Used-inline > most { // so much may be large data
			large, err := n.largeIn(c.Queue, name, kept)
			if err != nil {
				return err
			}
			bytes += large
		}
		if bytes > most {
			n.endAway(name, fmt.Sprintf("more than a tenth of the store, %d bytes, was kept for it", most))
		}
	}
	return nil
}

// largeIn is how much large data lies in an inbox from which nobody takes.
func (n *Node) largeIn(at store.Queue, name seed.Name, kept map[seed.Name]*keptData) (int64, error) {
	k := kept[name]
	if k == nil {
		k = new(keptData)
		kept[name] = k
	}
	err := n.store.Look(n.running, at, k.next, func(r store.Stored) bool {
		if r.Number < k.next || r.Number == 0 {
			return true // delayed
		}
		k.next = r.Number + 1
		if !packet.FrameHasBlobs(r.Data) {
			return true
		}
		_, ps, err := packet.ParseFrame(r.Data)
		for i := range ps {
			if err == nil && ps[i].Blob != nil {
				k.large += ps[i].Blob.Size
			}
		}
		return true
	})
	return k.large, err
}

// endAway ends what is kept for a seed that is away.
func (n *Node) endAway(name seed.Name, why string) {
	n.change.Lock()
	defer n.change.Unlock()
	if !n.closed && n.snap.Load().away[name] {
		n.endSubscriptions(n.subs.of(func(k subKey) bool { return k.seed == name }), why)
	}
}

// endSubscriptions ends these. The caller holds n.change.
func (n *Node) endSubscriptions(keys []subKey, why string) {
	for _, key := range keys {
		n.subs.remove(key)
	}
	n.saveLater(keys)
	n.swapWithout(keys, why)
}

// An Away is a seed that no node hosts now, and that stays an acceptor.
type Away struct {
	Seed     seed.Name     `json:"seed"`
	Contract seed.Contract `json:"contract"`
	// Nodes are those that hosted it and have not removed it.
	Nodes []string `json:"nodes"`
	// For is how long it is away already, as far as this node has run meanwhile.
	For time.Duration `json:"for_ns"`
	// Packets and Bytes are what this node keeps for it; large data does not count.
	Packets int   `json:"packets"`
	Bytes   int64 `json:"bytes"`
}

// Text says how long it is away: away for 3 min.
func (a *Away) Text() string {
	d := a.For
	switch {
	case d < time.Minute:
		return fmt.Sprintf("away for %d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("away for %d min", int(d.Minutes()))
	}
	return fmt.Sprintf("away for %d h", int(d.Hours()))
}

// Away lists the seeds that are away, by name, without what is kept for them.
func (n *Node) Away() (out []Away) {
	n.change.Lock()
	defer n.change.Unlock()
	snap := n.snap.Load()
	for _, key := range n.subs.of(func(k subKey) bool { return snap.away[k.seed] }) {
		s := n.subs[key]
		if last := len(out) - 1; last >= 0 && out[last].Seed == key.seed {
			out[last].Nodes = append(out[last].Nodes, key.node)
			out[last].For = min(out[last].For, s.away)
			continue
		}
		contract, _ := snap.net.Contract(key.seed)
		out = append(out, Away{Seed: key.seed, Contract: contract, Nodes: []string{key.node}, For: s.away})
	}
	return out
}

// A Forgotten says what was given up.
type Forgotten struct {
	// Seeds are those that accept nothing any more.
	Seeds []seed.Name `json:"seeds"`
	// Routed counts the packets that only such a seed had, and that went on; Dropped
	// the copies of packets that other seeds have as well.
	Routed  int `json:"routed"`
	Dropped int `json:"dropped"`
}

// ErrNotAway is a name that is neither of a seed nor of a node that is away.
var ErrNotAway = errors.New("is not away")

// ForgetSeeds ends what is kept for a seed that is away, or for all seeds of a node that is
// away.
func (n *Node) ForgetSeeds(ctx context.Context, name string) (Forgotten, error) {
	n.Recall()
	n.emptying.Lock() // so that nobody else moves what is counted here
	defer n.emptying.Unlock()
	out := Forgotten{Seeds: []seed.Name{}}
	names, err := n.endNamed(ctx, name)
	if err != nil {
		return out, err
	}
	for _, name := range names {
		snap := n.snap.Load()
		if snap.hosted(name) || snap.away[name] {
			continue // another node has it
		}
		out.Seeds = append(out.Seeds, name)
		routed, dropped, err := n.emptyInbox(name)
		out.Routed += routed
		out.Dropped += dropped
		if err != nil {
			return out, fmt.Errorf("empty the inbox of %s: %w", name, err)
		}
	}
	return out, nil
}

// endNamed ends the subscriptions that a name means, and gives their seeds.
func (n *Node) endNamed(ctx context.Context, name string) ([]seed.Name, error) {
	n.change.Lock()
	defer n.change.Unlock()
	if n.closed || n.injecting.Err() != nil {
		return nil, ErrDraining
	}
	keys := n.subs.of(func(k subKey) bool { return !n.subs[k].live && (string(k.seed) == name || k.node == name) })
	var names []seed.Name
	for _, key := range keys {
		if len(names) == 0 || names[len(names)-1] != key.seed {
			names = append(names, key.seed)
		}
	}
	if len(keys) > 0 {
		n.endSubscriptions(keys, "it was forgotten")
		return names, nil
	}
	if packet.CheckName("seed's name", name) == nil && !n.snap.Load().hosted(seed.Name(name)) {
		if left := n.inboxes(ctx)[seed.Name(name)]; left.Packets > 0 { // of one that has ended
			return []seed.Name{seed.Name(name)}, nil
		}
	}
	return nil, fmt.Errorf("%s: %w: no seed of this name and no seed of a node of this name", name, ErrNotAway)
}

// inboxes counts what lies in the inboxes of the own store.
func (n *Node) inboxes(ctx context.Context) map[seed.Name]store.Count {
	out := map[seed.Name]store.Count{}
	places, err := n.store.Queues(ctx)
	if err != nil {
		n.log.Debug("looking at the inboxes", "error", err)
	}
	for _, c := range places {
		if name, ok := c.Queue.Seed(); ok {
			out[name] = c
		}
	}
	return out
}
