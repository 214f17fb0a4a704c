package bench

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// forget drops what the page cache has of a file. It syncs the file first: pages
// that are not on the disk yet would stay.
func forget(file *os.File) error {
	if err := file.Sync(); err != nil {
		return err
	}
	if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("drop the page cache of %s: %w", file.Name(), err)
	}
	return nil
}
