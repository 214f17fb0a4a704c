//go:build !linux

package bench

import (
	"errors"
	"os"
)

// forget would drop what the page cache has of a file.
func forget(*os.File) error { return errors.New("only Linux drops the page cache of a file") }
