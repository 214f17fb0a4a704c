package folder

import (
	"errors"
	"fmt"

	"github.com/recap/pumpkin/internal/hold"
)

// What may be wrong with a folder. The errors of this package wrap one of them
// where the caller can do something about it.
var (
	// ErrNewer is a folder that a newer version wrote.
	ErrNewer = errors.New("made by a newer pmk")
	// ErrOlder is a folder that an older version wrote, with another layout.
	ErrOlder = errors.New("made by an older pmk")
	// ErrForeign is a folder of another user.
	ErrForeign = errors.New("it belongs to another user")
	// ErrReadOnly is a folder that cannot be written.
	ErrReadOnly = errors.New("it cannot be written")
	// ErrNotFolder is something else in a folder's place.
	ErrNotFolder = errors.New("it is not a folder")
	// ErrOther is a folder of another group or key.
	ErrOther = errors.New("belongs to")
	// ErrTaken is a folder that another process has taken over while this one had it: this one
	// was stopped for long, or its network was.
	ErrTaken = errors.New("another process has taken the data folder over, since this one was silent for long")
	// ErrDescription is a node.json that cannot be understood.
	ErrDescription = errors.New("its description is broken")
)

// An InUseError is a folder that another process has.
type InUseError struct {
	Dir  string
	PID  int    // of that process; 0 if it is not known
	Host string // that it runs on; "" is this one, or one that is not known
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("the folder %s is in use by %s; end that, or choose another with --data DIR", e.Dir, (&hold.UsedError{PID: e.PID, Host: e.Host}).Who())
}
