package hub

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/packet"
)

// A crowd is who is there. It belongs to the goroutine that gathers.
type crowd struct {
	hub   *Hub
	peers map[string]*peer // by name
	// lost are the boots that pings found gone, and the card that each had
	// then: only a later one brings it back.
	lost map[packet.ID]uint64
	bad  map[string]string // what was said of cards that cannot be read
	ears time.Time         // when this node's own card was seen last
}

// gather watches the cards and tells the node who is there, until ctx ends.
func (h *Hub) gather(ctx context.Context) {
	c := &crowd{hub: h, peers: map[string]*peer{}, lost: map[packet.ID]uint64{}, bad: map[string]string{}}
	var judges sync.WaitGroup
	defer judges.Wait()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	var watch jetstream.KeyWatcher
	var updates <-chan jetstream.KeyValueEntry
	end := func() {
		if watch != nil {
			_ = watch.Stop() // its consumer is removed by the cluster in any case
			watch, updates = nil, nil
		}
	}
	defer func() { end(); c.leaveAll() }()
	for ctx.Err() == nil {
		if watch == nil && h.cfg.Conn.IsConnected() {
			w, err := h.cards.WatchAll(ctx)
			if err != nil {
				h.log.Debug("watching the cards of the cluster", "error", err)
			} else {
				watch, updates, c.ears = w, w.Updates(), time.Now()
			}
		}
		changed := false
		select {
		case <-ctx.Done():
		case e, open := <-updates:
			if !open {
				end()
				break
			}
			changed = e != nil && c.hear(e)
		case p := <-h.dead:
			changed = c.lose(p)
		case boot := <-h.suspects:
			if p := c.byBoot(boot); p != nil && time.Since(p.judged) > renewEvery {
				p.judged = time.Now() // many may say so at a time
				judges.Go(func() { h.judge(ctx, p) })
			}
		case now := <-tick.C:
			changed = c.lapse(now)
			if now.Sub(c.ears) > deaf {
				end() // the watch is deaf
			}
		}
		if changed && ctx.Err() == nil {
			c.meet()
		}
	}
}

// hear takes an entry of the bucket and tells whether it changes something.
func (c *crowd) hear(e jetstream.KeyValueEntry) bool {
	name := e.Key()
	if name == c.hub.name {
		c.ears = time.Now()
		return false
	}
	p := c.peers[name]
	if e.Operation() != jetstream.KeyValuePut {
		if p == nil || e.Revision() < p.revision {
			return false
		}
		c.end(p)
		return true
	}
	if p != nil && bytes.Equal(p.said, e.Value()) {
		p.seen, p.revision = time.Now(), e.Revision()
		return false
	}
	said, err := decode(name, e.Value())
	if err != nil {
		if c.bad[name] != err.Error() && len(c.bad) < maxNodes {
			c.bad[name] = err.Error()
			c.hub.log.Warn(err.Error())
		}
		return false
	}
	boot := said.Card.Boot
	if lost, is := c.lost[boot]; is && e.Revision() <= lost || boot == c.hub.boot {
		return false
	}
	if p != nil && p.boot != boot {
		c.end(p)
		p = nil
	}
	if p == nil {
		if len(c.peers) >= maxNodes {
			return false
		}
		p = newPeer(c.hub, boot)
		c.peers[name] = p
	}
	p.card.Store(&said.Card)
	p.said, p.seen, p.revision = bytes.Clone(e.Value()), time.Now(), e.Revision()
	return true
}

func (c *crowd) byBoot(boot packet.ID) *peer {
	for _, p := range c.peers {
		if p.boot == boot {
			return p
		}
	}
	return nil
}

// lose ends a peer that does not answer, and tells the others.
func (c *crowd) lose(p *peer) bool {
	if c.byBoot(p.boot) != p {
		return false
	}
	if len(c.lost) >= maxNodes {
		clear(c.lost) // their cards have lapsed long since
	}
	c.lost[p.boot] = p.revision
	c.end(p)
	c.hub.tellGone(p.boot)
	return true
}

// lapse ends the peers whose cards are too old.
func (c *crowd) lapse(now time.Time) (changed bool) {
	for _, p := range c.peers {
		if now.Sub(p.seen) > lapse {
			c.end(p)
			changed = true
		}
	}
	return changed
}

func (c *crowd) end(p *peer) {
	p.end()
	delete(c.peers, p.Card().Node)
}

func (c *crowd) leaveAll() {
	for _, p := range c.peers {
		p.end()
	}
	c.hub.cfg.Host.Meet(nil)
}

// meet tells the node, and the pings, who is there.
func (c *crowd) meet() {
	var all []*peer
	for _, p := range c.peers {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *peer) int { return cmp.Compare(a.Card().Node, b.Card().Node) })
	peers := make([]mesh.Peer, len(all))
	for i, p := range all {
		peers[i] = p
	}
	select {
	case <-c.hub.targets: // what was not taken yet is old
	default:
	}
	c.hub.targets <- all // there is room: nobody else puts anything there
	c.hub.cfg.Host.Meet(peers)
}
