package local

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxPath is how long the path in a socket's address can be, in bytes.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// shorten calls use with a path of the socket that fits into a socket's
// address. A long one is reached through the descriptor of its folder; that
// path is good during the call alone.
func shorten(path string, use func(path string) error) error {
	if len(path) <= maxPath {
		return use(path)
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close() // nothing was written
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if len(short) > maxPath {
		return tooLong(path, maxPath)
	}
	return use(short)
}
