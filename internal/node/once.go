package node

import (
	"context"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// onceNote is the place that remembers that the injector h has ended. Its name
// alone counts: who edits an injector that has brought in all its data does not
// ask for all of it again.
func onceNote(h *host) store.Place { return store.Note("once", h.name) }

// onceState is the state of the packet that is the note.
const onceState packet.State = "Note:ONCE"

// runName is what the ids of an injector's packets come from, beside its name.
// An injector that runs once has one run, however often it is cut short: what
// it gave before has the same ids when it gives it again.
func (h *host) runName() string {
	if h.manifest.Once && h.node.durable() {
		return "once " + h.node.cfg.Name + " " + h.manifest.Version
	}
	return h.node.cfg.Run
}

// endedBefore tells whether the store remembers that the injector has ended,
// and says so. It waits for the store if need be.
func (n *Node) endedBefore(ctx context.Context, h *host) bool {
	if !n.durable() {
		return false // n.onced knows
	}
	var since time.Time
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		err := n.store.Look(ctx, onceNote(h), 0, func(r store.Resting) bool {
			since = r.Since
			return false
		})
		if err == nil {
			break
		}
		n.log.Debug("looking whether an injector has ended before", "seed", h.name, "error", err)
		if !pause.For(ctx, wait) {
			return true // the node ends
		}
	}
	if since.IsZero() {
		return false
	}
	n.log.Info(fmt.Sprintf("injector %s says pmk-once and ended on %s: it does not run again; another pmk-name makes it a new one",
		h.name, since.Local().Format("2006-01-02 15:04:05")))
	n.setOnced(h)
	return true
}

// rememberEnd writes down that the injector has ended. All that it gave is
// stored by then.
func (n *Node) rememberEnd(ctx context.Context, h *host) {
	n.setOnced(h)
	if !n.durable() {
		return
	}
	note := &item{Packet: packet.Packet{ID: packet.NewID(), State: onceState}}
	f, err := n.committer(lane{place: onceNote(h), rank: store.Descendant}).add(ctx, note, time.Time{})
	if err == nil {
		// Not for ctx: the commit lands, at the latest when the node ends.
		err = f.await(n.running)
	}
	if err != nil {
		n.log.Warn(fmt.Sprintf("injector %s says pmk-once and has ended, but that could not be written down: it runs again when the node starts again", h.name), "error", err)
	}
}

func (n *Node) setOnced(h *host) {
	n.change.Lock()
	n.onced[h.manifest.Name] = true
	n.change.Unlock()
}
