//go:build unix

package folder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// checkOwner refuses a folder of another user, also for root: it would leave
// files there that the owner cannot write.
func checkOwner(dir string, info os.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(st.Uid) != os.Geteuid() {
		// Such as a volume of a container.
		if unix.Access(dir, unix.W_OK|unix.X_OK) == nil && os.Geteuid() != 0 {
			return fmt.Errorf("the data folder %s: %w (%d); you can write there: name a folder in it, which is then yours: --data %s", dir, ErrForeign, st.Uid, filepath.Join(dir, "data"))
		}
		return fmt.Errorf("the data folder %s: %w (%d); start as that user, or choose another with --data DIR", dir, ErrForeign, st.Uid)
	}
	return nil
}

// access is an error of the system, and ErrReadOnly or ErrNotFolder if it is
// that.
func access(err error) error {
	switch {
	case errors.Is(err, unix.EROFS), errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%w: %w", ErrNotFolder, err)
	}
	return err
}

// Exposed warns, with what to do, that other users of this machine can change what is in the
// data folder, where the files of seeds lie that this node runs; "" is no warning. What cannot
// be looked at is for [Open] to tell.
func Exposed(dir string) string {
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o022 == 0 {
		return ""
	}
	return fmt.Sprintf("other users of this machine can change what is in the data folder %s (mode %04o), and with it what this node runs; keep it to yourself with: chmod go-w %s", dir, info.Mode().Perm(), dir)
}
