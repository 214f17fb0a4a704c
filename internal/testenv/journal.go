package testenv

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// A Journal is a log that a test reads. Its zero value is empty, and it is safe for
// concurrent use.
type Journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to it.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// Count is how many of its lines contain all these texts.
func (j *Journal) Count(texts ...string) (lines int) {
	for line := range strings.Lines(j.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			lines++
		}
	}
	return lines
}

// Log is a logger that writes to it, without debug lines.
func (j *Journal) Log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }
