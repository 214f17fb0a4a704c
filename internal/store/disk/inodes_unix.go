//go:build unix

package disk

import "golang.org/x/sys/unix"

// noInodes tells whether the disk of a folder has no inodes left. Some file
// systems have no bound and say that they have none.
func noInodes(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false // then it is only known that there is no room
	}
	return st.Files > 0 && st.Ffree == 0
}
