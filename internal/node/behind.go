package node

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/seed"
)

// watchBacklogs looks at the inboxes until the node ends, and says which seed
// falls behind, and which has caught up.
func (s *sorter) watchBacklogs() {
	tick := time.NewTicker(predict.LookEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			places, err := s.store.Queues(s.pulling)
			if err != nil {
				s.log.Debug("looking at the inboxes", "error", err)
				continue
			}
			s.lookAtBacklogs(now, places)
		case <-s.pulling.Done():
			return
		}
	}
}

// lookAtBacklogs is one look. What no node hosts, or is paused, waits, and does not
// fall behind.
func (s *sorter) lookAtBacklogs(now time.Time, places []store.Count) {
	snap := s.snap.Load()
	counts := map[seed.Name]store.Count{}
	for _, c := range places {
		if name, ok := c.Queue.Seed(); ok && snap.hosted(name) && !snap.stands(name) {
			counts[name] = c
		}
	}
	b := &s.backlogs
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = map[seed.Name]*watched{}
	}
	for name := range counts {
		if b.of[name] == nil {
			b.of[name] = new(watched)
		}
	}
	for name, w := range b.of {
		packets := counts[name].Packets
		var news bool
		w.behind, news = w.Look(now, packets, snap.drain(name, packets))
		switch {
		case news && w.behind.Is():
			s.log.Warn(fmt.Sprintf("seed %s falls behind: for %v its backlog in the store has grown, to %s now and by %.0f each second; add workers, or another node with the seed",
				name, now.Sub(w.behind.Since).Round(time.Second), english.Plural(packets, "packet", ""), w.behind.Growth), "seed", name)
		case news:
			s.log.Info(fmt.Sprintf("seed %s has caught up: %s left in the store for it", name, english.Plural(packets, "packet", "")), "seed", name)
		}
		if packets == 0 { // nothing to watch
			delete(b.of, name)
		}
	}
}

// drain is about how long a seed needs for so many packets, by what is known of
// its cost on all nodes.
func (snap *snapshot) drain(name seed.Name, packets int) time.Duration {
	var replicas []predict.Replica
	if h := snap.hosts[name]; h != nil {
		replicas = append(replicas, predict.Replica{Line: h.cost.line(), Workers: len(h.slots)})
	}
	for _, p := range snap.peers {
		for _, s := range p.Card().Seeds {
			if s.Manifest.Name == name && s.Cost > 0 {
				// A peer says the cost alone: as if it had one worker if it does
				// not say how many.
				line := predict.Line{Packet: float64(s.Cost), Mean: 1, Measured: 1}
				replicas = append(replicas, predict.Replica{Line: line, Workers: cmp.Or(s.Manifest.Workers, 1)})
			}
		}
	}
	var mean float64
	for _, r := range replicas {
		mean = max(mean, r.Line.Bytes)
	}
	return predict.DrainOf(packets, int64(float64(packets)*mean), replicas).Time
}
