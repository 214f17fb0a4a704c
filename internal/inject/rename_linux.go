package inject

import "golang.org/x/sys/unix"

// renameNew moves a file to a name that is not taken, in one step. An error that is
// fs.ErrExist says that it is; any other that another way has to be tried.
func renameNew(from int, name string, dir int, to string) error {
	return unix.Renameat2(from, name, dir, to, unix.RENAME_NOREPLACE)
}
