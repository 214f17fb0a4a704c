//go:build unix

package folder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/hold"
)

// place names the folder dir on this machine since it was booted: a copy of it has another
// name, be it a folder beside it or the disk of another machine. "" is that it cannot be told.
func place(dir string) string {
	var st unix.Stat_t
	boot := hold.Boot()
	if boot == "" || unix.Stat(dir, &st) != nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", boot, st.Dev, st.Ino))
	return hex.EncodeToString(sum[:8])
}
