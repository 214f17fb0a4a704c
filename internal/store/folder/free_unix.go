//go:build unix

package folder

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Free tells how many bytes of the file system that dir lies on are free for
// this user, and how many it has in total.
func Free(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("ask how much is free in %s: %w", dir, err)
	}
	// The fields have different types on different systems.
	block := int64(st.Bsize)
	return int64(st.Bavail) * block, int64(st.Blocks) * block, nil
}
