package predict

import (
	"slices"
	"time"
)

const (
	// LookEvery is how often a [Backlog] is to be looked at.
	LookEvery = 5 * time.Second
	// looks is how many looks a backlog has to grow over.
	looks = 7
	// longBacklog is the work from which a backlog is worth a warning.
	longBacklog = 10 * time.Second
)

// A Backlog watches what lies before a seed. Its zero value is ready. It is not
// safe for concurrent use.
type Backlog struct {
	times  []time.Time // of the last looks, oldest first
	sizes  []int
	behind Behind
}

// Behind says that more packets come in than are done. Its zero value says that
// they do not.
type Behind struct {
	Since   time.Time `json:"since"`
	Packets int       `json:"packets"`
	// Growth is how many more of them there are each second.
	Growth float64 `json:"growth"`
}

// Is tells whether more comes in than is done.
func (b Behind) Is() bool { return !b.Since.IsZero() }

// Look notes how many packets lie before the seed at a time, and what they
// take until they are done. It returns whether more comes in than is done,
// and whether that is new: the backlog has grown for [LookEvery] times six and
// was large at the end, or it is over and now shrinks.
func (b *Backlog) Look(now time.Time, packets int, drain time.Duration) (behind Behind, news bool) {
	b.times, b.sizes = append(b.times, now), append(b.sizes, packets)
	if len(b.sizes) > looks {
		b.times, b.sizes = slices.Delete(b.times, 0, 1), slices.Delete(b.sizes, 0, 1)
	}
	first, middle := b.sizes[0], b.sizes[len(b.sizes)/2]
	full := len(b.sizes) == looks
	switch was := b.behind.Is(); {
	case !was && full && first < middle && middle < packets && drain >= longBacklog:
		b.behind.Since, news = b.times[0], true
	case was && (packets < first && packets < middle || packets == 0):
		b.behind, news = Behind{}, true
	}
	if b.behind.Is() {
		b.behind.Packets = packets
		b.behind.Growth = float64(packets-first) / now.Sub(b.times[0]).Seconds()
	}
	return b.behind, news
}
