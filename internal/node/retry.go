package node

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// longestPause is the longest pause between two attempts.
const longestPause = 3 * time.Minute

// retryDelay is the pause after so many failures, up to a quarter more or less, so
// that what failed together does not come back together. An outage of four minutes
// costs no packet its last attempt.
func retryDelay(failures int32) time.Duration {
	pauses := [...]time.Duration{time.Second, 5 * time.Second, 20 * time.Second, time.Minute}
	d := longestPause
	if n := max(int(failures)-1, 0); n < len(pauses) {
		d = pauses[n]
	}
	return d + time.Duration((rand.Float64()-0.5)*0.5*float64(d))
}

// nextTry tells whether a packet whose run has just failed is tried again, and after
// which pause. after is the usual one after so many failures.
func nextTry(m *seed.Manifest, p *packet.Packet, failure error, after func(failures int32) time.Duration, now time.Time) (pause time.Duration, again bool) {
	var fault *runner.Fault
	if !errors.As(failure, &fault) {
		fault = new(runner.Fault)
	}
	if fault.Final {
		return 0, false
	}
	pause = after(p.Attempt + 1)
	if fault.Later && fault.After > 0 {
		pause = fault.After
	}
	if m.RetryFor == 0 {
		return pause, int(p.Attempt) < m.Retries
	}
	left := m.RetryFor
	if since := p.Extra.Since(); since != 0 {
		left -= now.Sub(time.Unix(since, 0))
	}
	return min(pause, left), left > 0 // the last attempt is at the end of the time
}
