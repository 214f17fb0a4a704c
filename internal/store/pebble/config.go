package pebble

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/recap/pumpkin/internal/store/disk"
	"github.com/recap/pumpkin/internal/store/folder"
)

// Config says how a store is opened.
type Config struct {
	// Dir is the node's data folder; the engine's own folder is below it. ""
	// is a store in memory: it survives the crash of a seed, not the end of
	// the node.
	Dir string
	// Size bounds the bytes that roots may take. 0 is no bound but what the
	// disk has.
	Size int64
	// Reserve is what descendants may take beyond that. 0 is a fifth of Size,
	// and on a disk at least 1 GiB.
	Reserve int64
	// Beside is how many bytes lie beside the frames and count towards Size:
	// large data. nil is none.
	Beside func() int64
	// Log gets what the store finds. nil is no log.
	Log *slog.Logger
	// Free is how many bytes are free where the store lies, and how many
	// there are in total. nil asks the file system.
	Free func() (free, total int64, err error)
	// FS is the file system; nil is that of Dir.
	FS vfs.FS
	// Disk decides what an error of the disk that Dir lies on means. Close
	// closes it. nil is one that only this store has.
	Disk *disk.Disk
	// Now is the time of day; nil is time.Now.
	Now func() time.Time
}

// engineDir is the engine's folder in the data folder.
const engineDir = folder.StoreDir

const (
	cacheSize    = 8 << 20
	memTableSize = 8 << 20
	maxOpenFiles = 200
)
