package inject

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// ParseArgument reads what names a folder on a command line: DIR, or
// DIR=Type:STATE for one whose every file is a packet of that state. A folder
// with a '=' in its name is understood if it is there.
func ParseArgument(arg string) (dir string, state packet.State, err error) {
	at := strings.LastIndexByte(arg, '=')
	if arg == "" {
		return "", "", errors.New("no folder is named: expected DIR or DIR=Type:STATE")
	}
	if at < 0 {
		return arg, "", nil
	}
	state, err = packet.ParseState(arg[at+1:])
	if err == nil && at > 0 {
		return arg[:at], state, nil
	}
	if info, failed := os.Stat(arg); failed == nil && info.IsDir() {
		return arg, "", nil
	}
	if err == nil {
		err = errors.New("there is no folder before the '='")
	}
	return "", "", fmt.Errorf("%q: expected DIR or DIR=Type:STATE: %w", arg, err)
}
