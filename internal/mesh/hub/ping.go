package hub

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/packet"
)

const (
	// pingEvery is how often others are pinged, and pingsAtOnce how many of
	// them.
	pingEvery   = 400 * time.Millisecond
	pingsAtOnce = 16
	// pingTime is how long an answer may take. One that takes longer says
	// nothing: the card's age decides.
	pingTime = time.Second
	// strikes is how often in a row the cluster has to say that nobody is
	// there, so long apart, before it is believed: a node that changes to
	// another server of the cluster is away for a moment.
	strikes     = 3
	strikeAfter = 250 * time.Millisecond
)

// An answer is how a ping ended.
type answer int

const (
	unknown answer = iota
	alive
	silence // the cluster says that nobody listens there
)

// ping asks once whether the node of that boot is there.
func (h *Hub) ping(ctx context.Context, boot packet.ID) answer {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	if !h.cfg.Conn.IsConnected() {
		return unknown
	}
	_, err := h.cfg.Conn.RequestWithContext(ctx, h.subject(boot, "ping"), nil)
	switch {
	case err == nil:
		return alive
	case errors.Is(err, nats.ErrNoResponders):
		return silence
	}
	return unknown
}

// pingAll pings the peers in turn until ctx ends.
func (h *Hub) pingAll(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	var peers []*peer
	next := 0
	for {
		select {
		case <-ctx.Done():
			return
		case peers = <-h.targets:
			continue
		case <-tick.C:
		}
		var round sync.WaitGroup
		for range min(pingsAtOnce, len(peers)) {
			p := peers[next%len(peers)]
			next++
			round.Go(func() { h.judge(ctx, p) })
		}
		round.Wait()
	}
}

// sound pings until the node of that boot answers, or was silent often enough.
func (h *Hub) sound(ctx context.Context, boot packet.ID) answer {
	for strike := 1; ; strike++ {
		got := h.ping(ctx, boot)
		if got != silence || strike == strikes {
			return got
		}
		if !pause.For(ctx, strikeAfter) {
			return unknown
		}
	}
}

// judge reports a peer that is gone.
func (h *Hub) judge(ctx context.Context, p *peer) {
	if p.ctx.Err() != nil || h.sound(ctx, p.boot) != silence {
		return
	}
	select {
	case h.dead <- p:
	case <-ctx.Done():
	}
}

// tellGone tells all others that a node is gone.
func (h *Hub) tellGone(boot packet.ID) {
	if err := h.cfg.Conn.Publish("pmkmesh."+h.cfg.Group+".gone", []byte(boot.String())); err != nil {
		h.log.Debug("telling that a node is gone", "error", err)
	}
}

// hearGone takes another's word that a node is gone, to be looked into. When
// there are too many at a time the pings find the rest.
func (h *Hub) hearGone(msg *nats.Msg) {
	boot, err := packet.ParseID(string(msg.Data))
	if err != nil || boot == h.boot {
		return
	}
	select {
	case h.suspects <- boot:
	default:
	}
}
