package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

const (
	// awayTick is how often a node looks at the seeds that are away.
	awayTick = time.Second
	// saveAtEnd is how long the end of a node waits for what it knows to be written down.
	saveAtEnd = 10 * time.Second
)

// save writes down what has changed.
func (r *roster) save(ctx context.Context) {
	r.change.Lock()
	tx, keys := &store.Tx{Durable: true}, r.unsaved
	r.unsaved = map[subKey]bool{}
	for key := range keys {
		s := r.subs[key]
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
	r.change.Unlock()
	if len(keys) == 0 {
		return
	}
	if err := r.store.Commit(ctx, tx); err != nil {
		r.log.Debug("writing down which seeds are known", "error", err)
		r.change.Lock()
		for key := range keys {
			r.unsaved[key] = true // the next look tries again
		}
		r.change.Unlock()
	}
}

// keepSubscriptions writes down what is known of seeds, and ends what was away for too
// long or has too much kept for it, until the node ends. While nothing is away it sleeps.
func (r *roster) keepSubscriptions() {
	look := time.NewTimer(awayTick)
	defer look.Stop()
	looks, idle, last := true, false, r.clock.now()
	kept := map[seed.Name]*keptData{}
	for {
		select {
		case <-r.toSave:
		case <-look.C:
			looks = false
			r.passAway(r.clock.now() - last)
			last = r.clock.now()
			if err := r.boundKept(kept); err != nil && r.running.Err() == nil {
				r.log.Debug("looking at what is kept for seeds that are away", "error", err)
			}
		case <-r.running.Done():
			ctx, cancel := context.WithTimeout(context.Background(), saveAtEnd)
			r.save(ctx)
			cancel()
			return
		}
		r.save(r.running)
		switch next := r.nextLook(); {
		case looks: // soon
		case next == 0:
			idle = true
		default:
			if idle { // nothing was away until now
				idle, last = false, r.clock.now()
			}
			looks = true
			look.Reset(next)
		}
	}
}

// nextLook is when to look at the seeds that are away; 0 is when something has changed.
func (r *roster) nextLook() time.Duration {
	r.change.Lock()
	defer r.change.Unlock()
	switch {
	case len(r.snap.Load().away) > 0 || len(r.unsaved) > 0:
		return awayTick
	case r.subs.passing():
		return saveAway
	}
	return 0
}

// passAway counts how long seeds are away.
func (r *roster) passAway(d time.Duration) {
	r.change.Lock()
	defer r.change.Unlock()
	ended, changed := r.subs.pass(d, r.cfg.Away)
	r.saveLater(changed)
	switch {
	case r.closed:
	case len(ended) > 0:
		r.swapWithout(ended, fmt.Sprintf("it was away for %v (--away)", r.cfg.Away))
	default:
		r.tellAway(r.snap.Load())
	}
}

// swapWithout makes the network anew since these subscriptions have ended, and says so of
// each seed that accepts nothing more. The caller holds r.change.
func (r *roster) swapWithout(keys []subKey, why string) {
	gone := map[seed.Name]bool{}
	for _, key := range keys {
		if len(r.subs.of(func(k subKey) bool { return k.seed == key.seed })) == 0 {
			gone[key.seed] = true
			delete(r.toldAway, key.seed)
		}
	}
	r.swap(maps.Clone(r.snap.Load().hosts), nil)
	for name := range gone {
		if !r.snap.Load().hosted(name) {
			r.log.Warn(fmt.Sprintf("nothing is kept for the seed %s any more: %s", name, why), "seed", name)
		}
	}
}

// keptData is the large data that lies in an inbox, up to a frame.
type keptData struct {
	next  uint64
	large int64
}

// boundKept ends the subscriptions for which more than a tenth of the store is kept.
func (r *roster) boundKept(kept map[seed.Name]*keptData) error {
	snap, st := r.snap.Load(), r.store.State()
	most := st.Size / 10
	if most == 0 || len(snap.away) == 0 {
		clear(kept)
		return nil
	}
	places, err := r.store.Queues(r.running)
	if err != nil {
		return err
	}
	maps.DeleteFunc(kept, func(name seed.Name, _ *keptData) bool { return !snap.away[name] })
	inline := int64(0)
	for _, c := range places {
		inline += c.Bytes
	}
	for _, c := range places {
		name, inbox := c.Queue.Seed()
		if !inbox || !snap.away[name] {
			continue
		}
		bytes := c.Bytes
		if bytes <= most && bytes+st.Used-inline > most { // so much may be large data
			large, err := r.largeIn(c.Queue, name, kept)
			if err != nil {
				return err
			}
			bytes += large
		}
		if bytes > most {
			r.endAway(name, fmt.Sprintf("more than a tenth of the store, %d bytes, was kept for it", most))
		}
	}
	return nil
}

// largeIn is how much large data lies in an inbox from which nobody takes.
func (r *roster) largeIn(at store.Queue, name seed.Name, kept map[seed.Name]*keptData) (int64, error) {
	k := kept[name]
	if k == nil {
		k = new(keptData)
		kept[name] = k
	}
	err := r.store.Look(r.running, at, k.next, func(f store.Stored) bool {
		if f.Number == 0 {
			return true // delayed
		}
		k.next = f.Number + 1
		if !packet.FrameHasBlobs(f.Data) { // most, and they are not to be read for that
			return true
		}
		_, ps, err := packet.ParseFrame(f.Data)
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
func (r *roster) endAway(name seed.Name, why string) {
	r.change.Lock()
	defer r.change.Unlock()
	if !r.closed && r.snap.Load().away[name] {
		r.endSubscriptions(r.subs.of(func(k subKey) bool { return k.seed == name }), why)
	}
}

// endSubscriptions ends these. The caller holds r.change.
func (r *roster) endSubscriptions(keys []subKey, why string) {
	for _, key := range keys {
		r.subs.remove(key)
	}
	r.saveLater(keys)
	r.swapWithout(keys, why)
}

// An Away is a seed that no node hosts now, and that stays an acceptor.
type Away struct {
	Seed     seed.Name
	Contract seed.Contract
	// Nodes are those that hosted it and have not removed it.
	Nodes []string
	// For is how long it is away already, as far as this node has run meanwhile.
	For time.Duration
	// Packets and Bytes are what this node keeps for it; large data does not count.
	Packets int
	Bytes   int64
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
func (r *roster) Away() (out []Away) {
	r.change.Lock()
	defer r.change.Unlock()
	snap := r.snap.Load()
	for _, key := range r.subs.of(func(k subKey) bool { return snap.away[k.seed] }) {
		s := r.subs[key]
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
	Seeds []seed.Name
	// Routed counts the packets that only such a seed had, and that went on; Dropped
	// the copies of packets that other seeds have as well.
	Routed  int
	Dropped int
	// Left counts those that could not be moved: they are at work, or wait for their next
	// attempt.
	Left int
}

// ErrNotAway is a name that is neither of a seed nor of a node that is away.
var ErrNotAway = errors.New("is not away")

// ForgetSeeds ends what is kept for a seed that is away, or for all seeds of a node that is
// away.
func (r *roster) ForgetSeeds(ctx context.Context, name string) (Forgotten, error) {
	r.Recall()
	r.emptying.Lock() // so that nobody else moves what is counted here
	defer r.emptying.Unlock()
	out := Forgotten{Seeds: []seed.Name{}}
	left, err := r.inboxes(ctx)
	if err != nil {
		return out, err
	}
	names, err := r.endNamed(name, left)
	if err != nil {
		return out, err
	}
	for _, name := range names {
		snap := r.snap.Load()
		if snap.hosted(name) || snap.away[name] {
			continue // another node has it
		}
		out.Seeds = append(out.Seeds, name)
		moved, err := r.emptyInbox(name)
		out.Routed += moved.routed
		out.Dropped += moved.dropped
		out.Left += moved.left
		if err != nil {
			return out, fmt.Errorf("empty the inbox of %s: %w", name, err)
		}
	}
	return out, nil
}

// endNamed ends the subscriptions that a name means, and gives their seeds. left is what
// lies in the inboxes of the own store.
func (r *roster) endNamed(name string, left map[seed.Name]store.Count) ([]seed.Name, error) {
	r.change.Lock()
	defer r.change.Unlock()
	if r.closed || r.injecting.Err() != nil {
		return nil, ErrDraining
	}
	keys := r.subs.of(func(k subKey) bool { return !r.subs[k].live && (string(k.seed) == name || k.node == name) })
	var names []seed.Name
	for _, key := range keys {
		if len(names) == 0 || names[len(names)-1] != key.seed {
			names = append(names, key.seed)
		}
	}
	if len(keys) > 0 {
		r.endSubscriptions(keys, "it was forgotten")
		return names, nil
	}
	if packet.CheckName("seed's name", name) == nil && !r.snap.Load().hosted(seed.Name(name)) {
		if left[seed.Name(name)].Packets > 0 { // of one that has ended
			return []seed.Name{seed.Name(name)}, nil
		}
	}
	return nil, fmt.Errorf("%s: %w: no seed of this name and no seed of a node of this name", name, ErrNotAway)
}

// inboxes counts what lies in the inboxes of the own store.
func (r *roster) inboxes(ctx context.Context) (map[seed.Name]store.Count, error) {
	out := map[seed.Name]store.Count{}
	places, err := r.store.Queues(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the inboxes: %w", err)
	}
	for _, c := range places {
		if name, ok := c.Queue.Seed(); ok {
			out[name] = c
		}
	}
	return out, nil
}
