//go:build unix && !linux

package hold

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// thisMachine is what the system calls this machine, the same at each of its starts; "" is
// that it does not say.
func thisMachine() string {
	for _, name := range []string{"kern.uuid", "kern.hostuuid"} {
		if id, err := unix.Sysctl(name); err == nil {
			return id
		}
	}
	return ""
}

// thisBoot is what tells this run of the system from others; "" is that it does not say.
func thisBoot() string {
	if id, err := unix.Sysctl("kern.bootsessionuuid"); err == nil {
		return id
	}
	if at, err := unix.SysctlTimeval("kern.boottime"); err == nil {
		return strconv.FormatInt(int64(at.Sec), 10)
	}
	return ""
}

// pidSpace is the same for all processes: there is one space of their numbers.
func pidSpace() string { return "all" }
