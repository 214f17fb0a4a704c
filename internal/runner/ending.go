package runner

import (
	"path"
	"slices"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// maxEnding is the longest ending that a file of data is given, in bytes.
const maxEnding = 32

// Ending is that of the file in which a seed with pmk-data finds a packet's data: the
// one of the file that the packet was, since many programs go by it; "" for every other
// packet, which may be of another kind. root tells whether the packet is the one that
// came from outside.
func Ending(attributes packet.Attributes, root bool) string {
	name := path.Base(attributes[packet.FileAttribute])
	if !root || strings.TrimLeft(name, ".") == "" {
		return ""
	}
	end := path.Ext(name)
	if slices.Contains([]string{".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z", ".br"}, end) {
		end = path.Ext(strings.TrimSuffix(name, end)) + end
	}
	strange := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-+", c))
	}
	// The data of a .pkt file is what the packet in it says, not the file.
	if len(end) > maxEnding || end == "." || end == ".pkt" || strings.ContainsFunc(end, strange) {
		return ""
	}
	return end
}
