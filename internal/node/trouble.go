package node

import (
	"fmt"
	"time"

	"github.com/recap/pumpkin/internal/pause"
)

// storeTrouble says once why the store takes nothing, until it takes packets
// again.
func (s *ownStore) storeTrouble(err error) {
	s.failed.Store(int64(s.clock.now()))
	if s.trouble.Swap(true) {
		return
	}
	s.log.Warn(fmt.Sprintf("packets are held back: %v; nothing is lost: they continue when there is room ('pmk ps' shows what waits)", err), "error", err)
	s.goroutines.Go(func() {
		for pause.For(s.running, maxPause) {
			quiet := s.clock.now()-time.Duration(s.failed.Load()) > troubleTime
			if st := s.store.State(); quiet && st.Err == nil && (st.Size == 0 || st.Used < st.Size) {
				s.trouble.Store(false)
				s.log.Info("the store takes packets again")
				return
			}
		}
	})
}

// troubleTime is how long no commit has failed before the store is said to be
// well: at its brim it takes one packet and refuses the next.
const troubleTime = 4 * maxPause
