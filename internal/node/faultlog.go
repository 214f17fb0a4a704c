package node

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/runner"
)

// A faultLog says what a seed does wrong: of each kind a line within quiet, whatever its
// error is, with how many were left out before it. Its zero value is ready.
type faultLog struct {
	mu    sync.Mutex
	lines [faultKinds]struct {
		told time.Time
		more int // since then
	}
	recent []SeedError // the newest first
}

// A faultKind is what a line about a seed says.
type faultKind int

const (
	attemptFailed faultKind = iota
	workerMissing
	gaveUp
	injectorFailed
	injectorGaveUp
	faultKinds // how many there are
)

// quiet is how long a kind of line is not written again.
const quiet = 10 * time.Second

// warn writes the line, with attributes. next is when that is tried again, zero for never.
func (f *faultLog) warn(log *slog.Logger, kind faultKind, what string, err error, next time.Time, args ...any) {
	args = append(args, "error", err)
	var run *runner.Fault
	output := ""
	if errors.As(err, &run) {
		output = run.Output
	}
	f.mu.Lock()
	now := time.Now()
	f.remember(err.Error(), output, now, next)
	line := &f.lines[kind]
	if now.Sub(line.told) < quiet {
		line.more++
		f.mu.Unlock()
		log.Debug(what, args...)
		return
	}
	more := line.more
	line.told, line.more = now, 0
	f.mu.Unlock()
	if output != "" {
		args = append(args, "output", output)
	}
	if more > 0 {
		args = append(args, "left_out", more)
	}
	log.Warn(what, args...)
}

// note remembers a failure that somebody else tells.
func (f *faultLog) note(err error) {
	var fault *runner.Fault
	output := ""
	if errors.As(err, &fault) {
		output = fault.Output
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remember(err.Error(), output, time.Now(), time.Time{})
}

// A SeedError is one way in which a seed has failed lately on a node.
type SeedError struct {
	// At is when it failed so last, and Count how often since it is remembered.
	At    time.Time
	Count int
	Error string
	// Next is when the packet that failed so last is tried again, or the injector started; zero if
	// it is not, or where NotLoaded says it.
	Next time.Time
	// Output is the end of what the seed had printed then.
	Output string
}

// The bounds of what is remembered of a seed's failures: packets that failed for
// the last time carry the whole of theirs.
const (
	maxErrors      = 3
	maxErrorText   = 512
	maxErrorOutput = 1024
)

// remember puts a failure in front of the others. The caller holds f.mu.
func (f *faultLog) remember(reason, output string, at, next time.Time) {
	e := SeedError{At: at, Count: 1, Error: reason, Next: next}
	if len(reason) > maxErrorText {
		e.Error = strings.ToValidUTF8(reason[:maxErrorText], "") + "..."
	}
	if i := slices.IndexFunc(f.recent, func(old SeedError) bool { return old.Error == e.Error }); i >= 0 {
		e.Count += f.recent[i].Count
		f.recent = slices.Delete(f.recent, i, i+1)
	}
	if cut := len(output) - maxErrorOutput; cut > 0 {
		output = "..." + strings.ToValidUTF8(output[cut:], "")
	}
	e.Output = strings.Clone(output) // a tail would keep all of it
	f.recent = slices.Insert(f.recent[:min(len(f.recent), maxErrors-1)], 0, e)
}

// errors are those that are remembered, the newest first.
func (f *faultLog) errors() []SeedError {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.recent)
}

// brief is an error that a frame takes: at most as long as a tail of output, and
// its begin, where it says what it is.
func brief(text string) string {
	if len(text) <= runner.MaxTail {
		return text
	}
	return strings.ToValidUTF8(text[:runner.MaxTail], "") + "..."
}
