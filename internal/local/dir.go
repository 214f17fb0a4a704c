// Package local is where the nodes and commands of one user meet on one
// machine: a folder of Unix sockets, one for each running node.
//
//	$XDG_RUNTIME_DIR/pumpkin/<group>/<meet>/<node>.sock
//	/tmp/pumpkin-<uid>/<group>/<meet>/<node>.sock
//
// Nodes without a key meet in "local", and those with one in a folder that is
// named for it, so that they do not see each other. The second form is used
// where XDG_RUNTIME_DIR is not set, or is not a folder of this user's. Whoever
// can open a socket can steer its node, so every folder on the way has mode 0700
// and belongs to the user; what is not so is refused and never repaired, since
// somebody else may have been there.
//
// Everything here is safe for concurrent use.
package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Dir returns the folder of that name below this user's runtime folder, and
// makes what is missing of it. Without elements it is the runtime folder
// itself. What is no group's begins with a dot, since no group's name does.
func Dir(elements ...string) (string, error) {
	dir := base(os.Getenv("XDG_RUNTIME_DIR"), "/tmp", os.Getuid())
	if err := makePrivate(dir); err != nil {
		return "", err
	}
	for _, e := range elements {
		dir = filepath.Join(dir, e)
		if err := makePrivate(dir); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// base is the path of the runtime folder of the user uid.
func base(runtime, tmp string, uid int) string {
	if info, err := os.Stat(runtime); filepath.IsAbs(runtime) && err == nil && info.IsDir() && owner(info) == uid {
		return filepath.Join(runtime, "pumpkin")
	}
	return filepath.Join(tmp, "pumpkin-"+strconv.Itoa(uid))
}

// makePrivate makes the folder dir where it is missing, and refuses one that
// somebody else could have put there.
func makePrivate(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder where nodes meet: %w; set XDG_RUNTIME_DIR to a folder of yours that can be written", err)
	}
	return checkPrivate(dir)
}

// checkPrivate refuses a folder that is not this user's alone.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the folder where nodes meet: %w", err)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link; expected a folder of yours: remove it", dir)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder; expected a folder of yours: remove it", dir)
	case owner(info) != os.Getuid():
		return fmt.Errorf("%s belongs to the user %d, and you are %d: have it removed, or set XDG_RUNTIME_DIR to a folder of yours", dir, owner(info), os.Getuid())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s has mode %04o, so that others may have changed it; expected 0700: remove it", dir, info.Mode().Perm())
	}
	return nil
}

// owner is the id of the user that the file belongs to, -1 where the system
// does not tell.
func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
