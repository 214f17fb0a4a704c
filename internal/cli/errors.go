package cli

import "errors"

// A usageError is a command line that is wrong.
type usageError struct{ error }

// A noSeedError is a seed that was named and cannot be loaded.
type noSeedError struct{ error }

// Sentinels for errors that only say which exit code is due: what was wrong is
// on the terminal already.
var (
	errFindings = errors.New("there are findings")
	errAborted  = errors.New("ended at once")
	errWaits    = errors.New("packets wait")
	errErrors   = errors.New("packets failed")
	errStore    = errors.New("the store needs attention")
)
