package hold

import (
	"os"
	"strings"
)

// thisMachine is what the system calls this machine, the same at each of its starts; "" is
// that it does not say, as in most containers.
func thisMachine() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		// While an image is made "uninitialized" is there.
		if text, err := os.ReadFile(path); err == nil && len(strings.TrimSpace(string(text))) == 32 {
			return strings.TrimSpace(string(text))
		}
	}
	return ""
}

// thisBoot is what the system calls its run since it was booted; "" is that it does not say.
func thisBoot() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// pidSpace names the processes among which this one's number is its own; "" is that the
// system does not say.
func pidSpace() string {
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return space
}
