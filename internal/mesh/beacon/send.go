package beacon

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/pause"
)

const (
	// period is how often a node says that it is there.
	period = 2 * time.Second
	// answerWithin is how soon a newcomer is answered, at random, so that many
	// nodes do not all answer at once; one answer is for all who came meanwhile.
	answerWithin = 50 * time.Millisecond
	// gap is the least time between two beacons, whatever asks for them.
	gap = 25 * time.Millisecond
	// sendTime is how long a beacon may wait for an interface that takes nothing.
	sendTime = time.Second
)

// early are the times between the first beacons after the start and after an
// announcement: datagrams get lost, most of all while a network comes up.
func early() []time.Duration { return []time.Duration{100 * time.Millisecond, 300 * time.Millisecond} }

// send says that the node is there, again and again, until ctx ends.
func (b *Beacon) send(ctx context.Context, conn *net.UDPConn) {
	var number uint64
	var trouble string
	ahead := early()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		case <-b.announce:
			ahead = early()
		case <-b.answer:
			if !pause.For(ctx, rand.N(answerWithin)) {
				return
			}
		}
		number++
		now := ""
		if err := b.say(conn, number); err != nil {
			now = err.Error()
		}
		switch {
		case now != "" && trouble == "":
			b.log.Warn("beacons do not reach every network, so nodes there may not find this one; the node keeps trying", "error", now)
		case now == "" && trouble != "":
			b.log.Info("beacons reach every network again")
		}
		trouble = now
		next := period
		if len(ahead) > 0 {
			next, ahead = ahead[0], ahead[1:]
		}
		if !pause.For(ctx, gap) {
			return
		}
		due.Reset(next - gap)
	}
}

// say sends one beacon on every network that the machine is on now.
func (b *Beacon) say(conn *net.UDPConn, number uint64) error {
	to, err := networks(b.cfg.Loopback)
	if err != nil {
		return err
	}
	data := encode(message{major: mesh.Protocol, boot: b.cfg.Boot, number: number, port: b.cfg.TCP, advertise: b.cfg.Advertise}, b.cfg.Seal)
	if err := conn.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		b.counts.failed.Add(1)
		return err
	}
	var failed error
	for _, network := range to {
		if _, err := conn.WriteToUDPAddrPort(data, netip.AddrPortFrom(network, uint16(b.cfg.Port))); err != nil {
			b.counts.failed.Add(1)
			failed = errors.Join(failed, err)
			continue
		}
		b.counts.sent.Add(1)
	}
	return failed
}
