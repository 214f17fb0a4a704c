package inject

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// written tells whether any program has the file open for writing. The kernel
// grants a lease for reading exactly if none has; the lease is given back at
// once. An error says that it cannot be told: the file system has no leases, as
// most on a network, or the file belongs to another user.
func written(file *os.File) (bool, error) {
	_, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if errors.Is(err, unix.EAGAIN) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return false, err
}
