// Package runner is the contract between a node and what runs a seed: a
// function of the program, a long-lived worker, a process for each packet.
//
// Implementations live below this package, one folder a kind, and are held to
// the contract by runnertest. They never import the node.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Runner runs one seed. It is safe for concurrent use.
type Runner interface {
	// Open starts a worker and returns once the seed is loaded in it and
	// can run, so that what is wrong with a seed file (it does not compile,
	// its interpreter is missing) is this call's error.
	Open(ctx context.Context) (Worker, error)
}

// A Teller is a runner that knows more of its seed once it has been opened.
type Teller interface {
	// Loaded is what the newest [Runner.Open] that succeeded has loaded; the zero value before.
	Loaded() Loaded
}

// Loaded is what workers of a seed have loaded. All of one runner have loaded the same.
type Loaded struct {
	// Version is the seed's, with what it has imported from its own folder.
	Version string
	// Interpreter is what runs the seed's file, for people; "" where the file says it.
	Interpreter string
	// Silent says what workers do not answer now that should have, for people; "" if all do. It is
	// safe for concurrent use; nil is as well.
	Silent func() string
}

// A Worker runs one seed on one batch of packets at a time. It is used by one
// goroutine at a time.
type Worker interface {
	// Run makes one run of the seed on each packet of batch, in order, and
	// tells out what comes of it. It returns nil once every packet is done or
	// given back. For an injector, batch holds one packet with neither state nor data.
	//
	// A run has parts, today always one, which is why a batch is a list of
	// packets: a run of several needs a call that says how many each has. To
	// wrap every packet in a value for that would cost those that run alone a
	// copy or an indirection on the hottest path, so such runs get a method of
	// their own. The worker protocol's run frame has its parts already.
	//
	// An error means that the worker is of no more use: it crashed, hung
	// beyond the seed's time-out, or ctx ended. It is then a *Fault unless
	// it is ctx's error, and packets that were not told done had no verdict.
	// Run has stopped calling out when it returns.
	Run(ctx context.Context, batch []packet.Packet, out Sink) error

	// Close ends the worker and all processes it started, and waits for
	// them; it may be called more than once.
	Close() error
}

// A Sink takes what the runs of a batch give. i is the packet's index in the
// batch. It is not safe for concurrent use, except that an injector may emit
// and flush from several goroutines at a time.
type Sink interface {
	// Emit takes one output of packet i and returns when there was room for
	// it: this is the back-pressure. An error says that this output is
	// refused (a state that the contract does not name, attributes that
	// break a rule) or that the node ends; the run then fails with that
	// error. A blob of the output was put into [Env.Blobs]: Emit takes over
	// the hold on it, also when it fails. The attributes stay the caller's.
	Emit(i int, out packet.Output) error

	// Flush returns when everything that was emitted so far is as safe as the
	// node's durability says, or could not be made so. For an injector that
	// may last until the disk has it; for other seeds it is at once.
	Flush() error

	// Done ends packet i: nil is success. It is called once for each packet,
	// in order.
	Done(i int, err error)

	// Back gives back packet i and those after it: they have not begun, and are
	// not begun by this worker any more. A worker calls it, at most once a batch
	// and perhaps from another goroutine, when the batch takes long (see
	// [GiveBack]): others may be free.
	Back(i int)
}

// Blobs keep data that is too large to be held in memory, as the store does:
// see store.Blobs, whose part this is.
type Blobs interface {
	Put(ctx context.Context, r io.Reader, limit int64) (packet.Blob, error)
	Open(b packet.Blob) (*os.File, error)
	Drop(sum packet.Sum) error
}

// LargeData is how much data, in bytes, an output has that is put into Blobs.
const LargeData = 256 << 10

// Env is what a node gives its runners.
type Env struct {
	// Node is the node's name.
	Node string
	// Print takes what the seed prints, a line at a time without its end. Its error
	// fails the run of an extractor, whose lines are its results; of other seeds it
	// is passed over. It is called from several goroutines.
	Print func(line string) error
	// Warn takes what the user should look to about the seed; nil discards it.
	Warn func(line string)
	// Blobs take and give large data; nil keeps it in memory.
	Blobs Blobs
	// Snapshots is the folder where the files of seeds are copied that run; ""
	// runs them where they are.
	Snapshots string
	// Python is the Python of seeds that name none (PUMPKIN_PYTHON); "" is python3.
	Python string
	// Stores says that an injector is to be told when what it gave is stored.
	Stores bool
	// MaxData is the most bytes that one output may have; 0 means
	// [DefaultMaxData].
	MaxData int64
	// Uses takes the paths that the seed has imported from its own folder, each time that it was
	// loaded, and the version that is; "" if it could not be loaded. nil discards them.
	Uses func(imported []string, version string)
	// LoadTimeout is how long a worker may take until its seed is loaded; 0 is as
	// long as its process lives.
	LoadTimeout time.Duration
}

// DefaultMaxData is the most bytes that one output of a seed may have.
const DefaultMaxData = 1 << 30

// MaxTail is how many bytes of a seed's output a [Fault] keeps.
const MaxTail = 4 << 10

// A Fault is a failed run: what the seed raised, how its process ended.
type Fault struct {
	// Reason is one line: "ValueError: no such galaxy", "exit status 3",
	// "timed out after 2s".
	Reason string
	// Output is the tail of what the seed printed: a traceback, the end of
	// standard error. At most [MaxTail] bytes.
	Output string
	// Hung says that the seed's time-out ended the run.
	Hung bool
	// Final says that the run would fail again however often it is tried.
	Final bool
	// Later says that what the run needs is not there now: it is tried again
	// After that time, or, if that is 0, after the usual pause.
	Later bool
	After time.Duration
	// Err is what the seed's function returned; nil for what is no function.
	Err error
	// Cut says that a signal from outside ended the run, as the end of a service
	// sends one to all of its processes.
	Cut bool
}

func (f *Fault) Error() string { return f.Reason }

// Unwrap is the error that the seed's function returned, or nil.
func (f *Fault) Unwrap() error { return f.Err }

// The exit statuses of sysexits.h that say how a run failed.
const (
	ExitData = 65 // EX_DATAERR: the data is to blame, and the run is final
	ExitTemp = 75 // EX_TEMPFAIL: what it needs is not there, and it is tried later
)

// ErrUnused is a worker that ended while it had nothing to do: no packet of the
// batch is to blame.
var ErrUnused = errors.New("it ended while it had nothing to do")

// ErrMissing says that what the seed needs to run is not on this machine.
var ErrMissing = errors.New("not found on this machine")

// OneOutput is the state that an output without a state has. It fails unless
// the contract has exactly one.
func OneOutput(c seed.Contract) (packet.State, error) {
	if len(c.Out) != 1 {
		return "", fmt.Errorf("the seed gave data without a state, and its contract has %d output states; name one of them", len(c.Out))
	}
	return c.Out[0], nil
}

// Tail is the end of a seed's output that a [Fault] keeps: at most [MaxTail]
// bytes, from the start of a line where there is one.
func Tail(output string) string {
	if len(output) <= MaxTail {
		return output
	}
	output = output[len(output)-MaxTail:]
	if _, rest, ok := strings.Cut(output, "\n"); ok && rest != "" {
		return rest
	}
	return output
}
