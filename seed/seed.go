// Package seed holds the declaration of a seed: its contract, its manifest, and
// the headers of seed files that they are read from. It parses text and does no
// I/O.
package seed

import (
	"time"
)

// Name names a seed within its group.
type Name string

// Kind says what runs a seed.
type Kind string

// The kinds of seed.
const (
	Go      Kind = "go"      // a function compiled into the program
	Python  Kind = "python"  // long-lived python3 workers
	Process Kind = "process" // any executable or #! script
	Wasm    Kind = "wasm"    // a WebAssembly module; refused for now
)

// Mode says how a process seed is spoken to.
type Mode string

// The modes of a process seed.
const (
	PerPacket Mode = ""       // one process a packet
	Lines     Mode = "lines"  // one line in, one line out; of an injector, lines out
	Worker    Mode = "worker" // the worker protocol
)

// DefaultGrace is how long a run that is asked to end may take for that before it
// is killed.
const DefaultGrace = 10 * time.Second

// DefaultIdle is how long a worker is kept that has nothing to do, where a seed may
// have several.
const DefaultIdle = time.Minute

// Never as a seed's Idle: its workers are kept however long they have nothing to do.
const Never = -1

// A Manifest is everything that a seed says of itself.
type Manifest struct {
	Name     Name     `json:"name"`
	About    string   `json:"about,omitempty"` // one sentence for people
	Group    string   `json:"group,omitempty"` // "" means the node's
	Kind     Kind     `json:"kind"`
	Contract Contract `json:"contract"`

	OnRequest bool `json:"on_request,omitempty"` // pmk-load: no
	// Spread has every replica take its turn, instead of the nearest alone.
	Spread bool `json:"spread,omitempty"`
	// Workers is how many there are on this node; 0 means one per CPU.
	Workers int           `json:"workers,omitempty"`
	Timeout time.Duration `json:"timeout_ns,omitempty"` // of the longest run; 0 means none
	// Idle is how long a worker is kept that has nothing to do, or Never; 0 means the default,
	// see KeepIdle.
	Idle  time.Duration `json:"idle_ns,omitempty"`
	Grace time.Duration `json:"grace_ns,omitempty"` // from SIGTERM to SIGKILL; 0 means DefaultGrace
	// Retries is how many tries follow the first, of an injector in a row, or Unlimited.
	Retries int `json:"retries"`
	// RetryFor is how long after its first failure a packet is tried again, in place of Retries.
	RetryFor time.Duration `json:"retry_for_ns,omitempty"`
	Mode     Mode          `json:"mode,omitempty"` // of a process seed
	// DataPath gives the data as a file's path instead of its bytes.
	DataPath bool `json:"data_path,omitempty"`
	// Uses is what pmk-uses names: files and folders beside the seed, and patterns of them.
	Uses     []string `json:"uses,omitempty"`
	UsesLine int      `json:"-"` // of that in File
	// Every is the time between the runs of an injector; 0 means one run.
	Every time.Duration `json:"every_ns,omitempty"`
	// Once has an injector never run again after it has ended once.
	Once bool `json:"once,omitempty"`

	Classic bool `json:"classic,omitempty"` // declared by the classic JSON header
	// File is where it was declared; "" for a seed in the program.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"` // of the declaration in File, counted from 1
	// Version is a hash of the file's bytes, perhaps with one of what it uses; "" for a seed in the
	// program.
	Version string `json:"version,omitempty"`
}

// VersionSeparator stands in a version between the hash of the seed's file and that of what it
// uses.
const VersionSeparator = "."

// KeepIdle is how long a worker of the seed is kept that has nothing to do, or Never.
// The only worker of a seed is kept for good unless the seed says otherwise: what it
// remembers would be gone.
func (m *Manifest) KeepIdle() time.Duration {
	switch {
	case m.Idle != 0:
		return m.Idle
	case m.Workers == 1 || m.Contract.Injector():
		return Never
	}
	return DefaultIdle
}
