package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/store"
)

// onceTable remembers which injectors have ended, by name, with the time, 8 bytes
// of nanoseconds since 1970, little endian. The name alone counts: who edits an
// injector that has brought in all its data does not ask for all of it again.
const onceTable store.Table = "once"

func onceKey(h *host) store.Key { return store.Key{In: onceTable, Key: h.name} }

// endedBefore tells whether the store remembers that the injector has ended,
// and says so. It waits for the store if need be.
func (n *Node) endedBefore(ctx context.Context, h *host) bool {
	if !n.durable() {
		return false // n.onced knows
	}
	var since time.Time
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		value, ok, err := n.store.Get(ctx, onceKey(h))
		if err == nil {
			if ok && len(value) == 8 {
				since = time.Unix(0, int64(binary.LittleEndian.Uint64(value))) //nolint:gosec // as it was written
			}
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
	now := binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano())) //nolint:gosec // after 1970
	tx := &store.Tx{Put: []store.Record{{Key: onceKey(h), Value: now}}, Durable: true}
	if err := n.store.Commit(ctx, tx); err != nil {
		n.log.Warn(fmt.Sprintf("injector %s says pmk-once and has ended, but this could not be recorded: it runs again when the node starts again", h.name), "error", err)
	}
}

func (n *Node) setOnced(h *host) {
	n.change.Lock()
	n.onced[h.manifest.Name] = true
	n.change.Unlock()
}
