package inject

import (
	"context"
	"log/slog"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// The folders in a watched folder, for what has been dealt with. What they
// hold is the user's: nothing here reads it or deletes it.
const (
	doneDir = ".done"
	badDir  = ".bad"
)

// Config says what to do with the files of a folder.
type Config struct {
	// Dir is the folder; it is made when it is missing, unless files stay there.
	Dir string
	// Memory, unless nil, has files stay where they are, which may be a folder that can
	// only be read, and remembers which were taken.
	Memory Memory
	// Owner sets apart what nodes remember that share the memory.
	Owner string
	// Apart are folders, by their absolute paths, that are not looked into where they lie
	// below Dir.
	Apart []string
	// State makes every file one packet of this state. "" means that .pkt
	// files are read, and others left alone.
	State packet.State
	// Group is the node's group: a .pkt file that names another is bad. ""
	// means that any is taken.
	Group string
	// MaxSize is the most bytes that a .pkt file may have, which is read as a
	// whole; 0 means [packet.MaxFile]. What other files may have is for the
	// network to say.
	MaxSize int64
	// InMemory is how many bytes of data the network takes in memory; 0 means any.
	// Larger files are streamed.
	InMemory int64
	// Quiet is how long a file must not have changed to count as complete; 0
	// means 2 s. Below 0 a file need not be seen unchanged.
	Quiet time.Duration
	// Grace is how long the file in hand may still take once Run's context
	// has ended; 0 means 5 s.
	Grace time.Duration
	// Log takes a line for each thing that a person should know; nil means
	// slog.Default().
	Log *slog.Logger
}

// Memory is where a folder remembers its files: a part of [store.Store].
type Memory interface {
	Commit(ctx context.Context, tx *store.Tx) error
	Get(ctx context.Context, key store.Key) (value []byte, ok bool, err error)
	Scan(ctx context.Context, table store.Table, prefix string, visit func(key string, value []byte) bool) error
}
