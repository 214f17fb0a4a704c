//go:build !linux

package inject

import "errors"

// renameNew moves a file to a name that is not taken, in one step: here there is no such
// way.
func renameNew(int, string, int, string) error { return errors.ErrUnsupported }
