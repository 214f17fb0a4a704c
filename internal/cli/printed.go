package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/seed"
)

// What one seed may print into the log within a second; at least a line in any case.
const (
	maxPrintedLines = 100
	maxPrintedBytes = 64 << 10
)

// A printed takes the lines that seeds print: an extractor's are results, others belong to the
// log, which has so much of each seed in a second, and a count of the lines that were left out.
type printed struct {
	out io.Writer
	log *slog.Logger

	mu    sync.Mutex
	seeds map[seed.Name]*second // of those that have printed within one
}

// A second is what a seed has printed in it.
type second struct {
	end                   *time.Timer
	lines, bytes, leftOut int
}

func newPrinted(out io.Writer, log *slog.Logger) *printed {
	return &printed{out: out, log: log, seeds: map[seed.Name]*second{}}
}

// line takes a line. Its error is of an extractor's that could not be written.
func (p *printed) line(m seed.Manifest, line string) error {
	if m.Contract.Extractor() {
		if p.log.Enabled(context.Background(), slog.LevelDebug) && p.room(m.Name, len(line)) {
			p.log.Debug(string(m.Name) + ": " + line)
		}
		_, err := fmt.Fprintln(p.out, line)
		return err
	}
	if p.room(m.Name, len(line)) {
		p.log.Info(string(m.Name) + ": " + line)
	}
	return nil
}

// room tells whether the log takes a line of a seed now.
func (p *printed) room(name seed.Name, size int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.seeds[name]
	if s == nil {
		s = &second{end: time.AfterFunc(time.Second, func() { p.endSecond(name) })}
		p.seeds[name] = s
	}
	if s.lines > 0 && (s.lines >= maxPrintedLines || s.bytes+size > maxPrintedBytes) {
		s.leftOut++
		return false
	}
	s.lines, s.bytes = s.lines+1, s.bytes+size
	return true
}

// endSecond says how many lines of a seed were left out.
func (p *printed) endSecond(name seed.Name) {
	p.mu.Lock()
	s := p.seeds[name]
	delete(p.seeds, name)
	p.mu.Unlock()
	if s != nil && s.leftOut > 0 {
		p.log.Warn(fmt.Sprintf("%s: dropped %s in this second (limit: %d lines or %s per seed and second)",
			name, english.Plural(s.leftOut, "more line", ""), maxPrintedLines, bytesText(maxPrintedBytes)))
	}
}

// close says what was left out last.
func (p *printed) close() {
	p.mu.Lock()
	var names []seed.Name
	for name, s := range p.seeds {
		s.end.Stop()
		names = append(names, name)
	}
	p.mu.Unlock()
	for _, name := range names {
		p.endSecond(name)
	}
}
