package node

import (
	"encoding/json"
	"maps"
	"strings"
)

// Recall reads which seeds the node knows, once: what comes from outside before the
// first call may miss a seed that is away. Everything that routes packets later calls it.
func (r *roster) Recall() {
	r.recalled.Do(func() {
		if !r.durable() {
			return
		}
		_ = storePauses.Until(r.running, r.loadSubscriptions, r.storeTrouble)
	})
}

func (r *roster) loadSubscriptions() error {
	var found []subscriptionRecord
	err := r.store.Scan(r.running, subscriptionTable, "", func(key string, value []byte) bool {
		var known subscriptionRecord
		if err := json.Unmarshal(value, &known); err != nil {
			r.log.Warn("a record of a known seed cannot be read; the seed is known again when it runs", "seed", strings.Split(key, "\x00")[0], "error", err)
			return true
		}
		found = append(found, known)
		return true
	})
	if err != nil || len(found) == 0 {
		return err
	}
	r.change.Lock()
	defer r.change.Unlock()
	for _, known := range found {
		r.subs[subKey{known.Seed, known.Node}] = &subscription{Known: known.Known, away: known.Away}
	}
	if !r.closed {
		r.swap(maps.Clone(r.snap.Load().hosts), nil)
	}
	return nil
}
