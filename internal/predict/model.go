// Package predict predicts how long work will take from how long such work took:
// the cost of a packet by its size, the time until a backlog is done, and whether a
// seed falls behind. It only calculates: its caller measures, and passes in the time.
package predict

import (
	"math"
	"time"
)

const (
	// memory is about how many measurements an estimate rests on: each older
	// one counts by 1/memory less.
	memory = 64
	// warm is how many measurements it takes until one can be an outlier.
	warm = 8
	// wide is how many times the usual error a measurement may be off before
	// it counts for less. The usual error is a median; of a normal
	// distribution this is Huber's 1.345 standard deviations.
	wide = 2.0
	// far is how many times the usual error a measurement may be off until it
	// is a sign that the work has changed: three standard deviations.
	far = 4.45
	// streak is how many measurements in a row that are off to the same side
	// are no outliers: the work has changed.
	streak = 4
	// leastError is the least usual error that is believed.
	leastError = 0.02
	// maxOff is how many times its prediction a batch counts at most.
	maxOff = 64
	// stiff is how far apart sizes have to be, as a part of their mean, for a
	// new slope to count as much as the one before.
	stiff = 0.1
)

// A Model learns what a packet costs: so much for each packet, and so much for
// each byte of its data. Its zero value knows nothing and is ready. It is not
// safe for concurrent use.
//
// It is a weighted least-squares fit of a line to the cost per packet of each
// batch, kept as five sums that forget exponentially. Errors are relative to
// the prediction, so that packets of 10 bytes count as much as those of 1 MB.
// Measurements that are far off count for less, with the weights of Huber
// (Robust Estimation of a Location Parameter, 1964); their scale, which is also
// the error that is shown, is a running median of the errors of the predictions
// made before each measurement, found by steps up and down (Ma, Muthukrishnan,
// Sandler: Frugal Streaming for Estimating Quantiles, 2013).
type Model struct {
	line Line
	seen int // measurements since the work has changed
	off  int // how many in a row were far off, below 0 for too dear a prediction

	// The weight of all measurements, their means, and the sums of products of
	// deviations from these, each times its weight.
	weight       float64
	x, y         float64
	sumXX, sumXY float64

	// What all batches took together, what was foretold of them, and how many.
	taken, foretold, batches float64
}

// A Line is what a model has learned.
type Line struct {
	// Packet and Byte are what a packet costs, and each byte of its data, in
	// nanoseconds of one worker.
	Packet float64 `json:"packet_ns"`
	Byte   float64 `json:"byte_ns"`
	// Bytes is the mean size of the packets of late.
	Bytes float64 `json:"mean_bytes"`
	// Mean is how many times what the line says packets take on average, with
	// the outliers that the line leaves out.
	Mean float64 `json:"mean"`
	// Error is the median by which predictions of a batch have been off lately,
	// as a part of the prediction.
	Error float64 `json:"error"`
	// Measured counts the batches.
	Measured uint64 `json:"measured"`
}

// Add learns that packets with so many bytes of data together took d.
func (m *Model) Add(d time.Duration, packets int, bytes int64) {
	if packets < 1 {
		return
	}
	y, x := max(float64(d), 1)/float64(packets), float64(bytes)/float64(packets)
	m.line.Measured++
	if m.seen == 0 {
		m.begin(x, y)
		m.line.Bytes, m.line.Mean, m.line.Error = x, 1, 1
		return
	}
	m.line.Bytes += (x - m.line.Bytes) * min(float64(packets)/memory, 0.25)
	foretold := m.line.at(x)
	r := (y - foretold) / foretold
	limit := wide * m.line.Error
	if m.seen >= warm && m.changed(r, far*m.line.Error) {
		m.begin(x, y)
		return
	}
	w := 1 / (foretold * foretold)
	if m.seen < warm {
		w = 1 / (max(foretold, y) * max(foretold, y))
	} else if math.Abs(r) > limit {
		w *= limit / math.Abs(r)
	}
	m.judge(math.Abs(r))
	m.total(y*float64(packets), foretold*float64(packets))
	m.learn(x, y, w)
	m.seen++
}

// changed tells whether measurements have been off by more than limit to the
// same side for so long that the work must have changed.
func (m *Model) changed(r, limit float64) bool {
	switch {
	case r > limit:
		m.off = max(m.off, 0) + 1
	case r < -limit:
		m.off = min(m.off, 0) - 1
	default:
		m.off = 0
	}
	return m.off >= streak || m.off <= -streak
}

// begin forgets all but the shape of the line, which then goes through (x, y).
func (m *Model) begin(x, y float64) {
	if m.seen > 0 {
		m.line.Byte *= y / m.line.at(x)
	}
	m.line.Packet = max(y-m.line.Byte*x, 0)
	m.weight, m.x, m.y, m.sumXX, m.sumXY = 1/(y*y), x, y, 0, 0
	m.seen, m.off = 1, 0
	m.taken, m.foretold, m.batches, m.line.Mean = 0, 0, 0, 1
}

// judge moves the usual error toward the error of a prediction.
func (m *Model) judge(err float64) {
	if m.line.Measured == 2 {
		m.line.Error = min(max(err, leastError), 1)
		return
	}
	step := 1 + max(1.0/16, 1/float64(m.seen+1))
	if err > m.line.Error {
		m.line.Error = min(m.line.Error*step, maxOff)
	} else {
		m.line.Error = max(m.line.Error/step, leastError)
	}
}

// total learns how many times the prediction all packets together take.
func (m *Model) total(took, foretold float64) {
	const keep = 1 - 1.0/(4*memory)
	m.taken = keep*m.taken + min(took, maxOff*foretold)
	m.foretold = keep*m.foretold + foretold
	m.batches = keep*m.batches + 1
	// Of a few batches one outlier says little.
	hold := warm / m.batches * m.foretold
	m.line.Mean = (m.taken + hold) / (m.foretold + hold)
}

// learn fits the line to all measurements, of which (x, y) is the newest.
func (m *Model) learn(x, y, w float64) {
	const keep = 1 - 1.0/memory
	m.weight = keep*m.weight + w
	part := w / m.weight
	dx, dy := x-m.x, y-m.y
	m.x += part * dx
	m.y += part * dy
	m.sumXX = keep*m.sumXX + w*(1-part)*dx*dx
	m.sumXY = keep*m.sumXY + w*(1-part)*dx*dy

	// Sizes that are all alike say nothing of the slope: it stays.
	hold := m.weight * (stiff*m.x + 1) * (stiff*m.x + 1)
	slope := max((m.sumXY+hold*m.line.Byte)/(m.sumXX+hold), 0)
	start := m.y - slope*m.x
	if start < 0 { // nothing has a price below zero: the best line through the origin
		start, slope = 0, (m.sumXY+m.weight*m.x*m.y)/(m.sumXX+m.weight*m.x*m.x)
	}
	m.line.Packet, m.line.Byte = start, slope
}

// Line is what the model has learned so far.
func (m *Model) Line() Line { return m.line }

// at is the cost of a packet with so much data, in nanoseconds, at least 1.
func (l *Line) at(bytes float64) float64 { return max(l.Packet+l.Byte*bytes, 1) }

// Known tells whether anything was measured.
func (l Line) Known() bool { return l.Measured > 0 }

// Cost is what a packet with so many bytes of data takes one worker, as a rule;
// 0 while nothing is known.
func (l Line) Cost(bytes float64) time.Duration {
	if !l.Known() {
		return 0
	}
	return time.Duration(l.at(bytes))
}

// Work is what so many packets with so many bytes of data together take one
// worker, outliers included; 0 while nothing is known.
func (l Line) Work(packets int, bytes int64) time.Duration {
	if !l.Known() || packets < 1 {
		return 0
	}
	nanos := float64(packets) * l.at(float64(bytes)/float64(packets)) * l.Mean
	return time.Duration(min(nanos, math.MaxInt64/2))
}
