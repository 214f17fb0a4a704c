package predict

import (
	"math"
	"time"
)

// A Replica is one of the nodes that work on a backlog.
type Replica struct {
	Line    Line
	Workers int
}

// A Drain is how long a backlog takes.
type Drain struct {
	// Time is until all of it is done, if nothing comes meanwhile; 0 when there
	// is nothing, or no replica of which anything is known.
	Time time.Duration `json:"time_ns"`
	// Error is the usual error of the predictions it is made of, as a part.
	Error float64 `json:"error"`
}

// DrainOf is how long the replicas together take for so many packets with so
// many bytes of data. Each takes as much of them as it is fast.
func DrainOf(packets int, bytes int64, replicas []Replica) Drain {
	var rate, errs float64 // backlogs a nanosecond
	for _, r := range replicas {
		work := float64(r.Line.Work(packets, bytes))
		if work <= 0 || r.Workers < 1 {
			continue
		}
		own := float64(r.Workers) / work
		rate += own
		errs += own * r.Line.Error
	}
	if rate == 0 {
		return Drain{}
	}
	return Drain{Time: time.Duration(min(math.Ceil(1/rate), math.MaxInt64/2)), Error: errs / rate}
}
