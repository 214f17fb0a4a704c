// Package layout is how frames lie in the streams of a NATS server, be it the
// embedded one or a cluster: one stream for each place, one message for each
// frame, whose number is the message's sequence. A subject is
//
//	pmk.<group>.<place>.<packets>
//
// so how many packets a place holds is a sum over the server's counts by
// subject, and no frame is read for it.
package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/recap/pumpkin/internal/store"
)

// StreamName is the name of a place's stream. Names of places consist of
// letters, digits, '_', '-' and '.', and a stream's name must not hold a '.',
// so '=' stands for it. The stream's folder has the same name, and some file
// systems take "A" for "a": a place with capitals has a hash of it at the end.
func StreamName(at store.Place) string {
	name := strings.ReplaceAll(string(at), ".", "=")
	if strings.ToLower(name) != name {
		name += "=" + capitals(string(at))
	}
	return name
}

// capitals tells names apart that only differ in them.
func capitals(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:4])
}

// PlaceOf is the place whose stream has this name, if any.
func PlaceOf(stream string) (store.Place, bool) {
	at := store.Place(strings.ReplaceAll(stream, "=", "."))
	if at.Check() == nil && StreamName(at) == stream {
		return at, true
	}
	i := strings.LastIndexByte(stream, '=')
	if i < 0 {
		return "", false
	}
	at = store.Place(strings.ReplaceAll(stream[:i], "=", "."))
	return at, at.Check() == nil && StreamName(at) == stream
}

// GroupPrefix is what stands before the names of a group's streams where
// several groups share one server. Capitals are told apart as in [StreamName].
func GroupPrefix(group string) string {
	if strings.ToLower(group) != group {
		group += "=" + capitals(group)
	}
	return "pmk=" + group + "="
}

// Filter matches the subjects of all frames in a place.
func Filter(group string, at store.Place) string {
	return "pmk." + group + "." + string(at) + ".*"
}

// Subject is that of a frame of so many packets. The number has three digits
// always: the server's checksum covers subject and message as one text, so a
// flipped bit in the subject's length would move the border between the two.
// With one length for each place that cannot go unseen.
func Subject(group string, at store.Place, packets int) string {
	return fmt.Sprintf("pmk.%s.%s.%03d", group, at, packets)
}

// PacketsIn is the number at a subject's end; 0 if there is none.
func PacketsIn(subject string) int {
	digits := subject[strings.LastIndexByte(subject, '.')+1:]
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || n > store.MaxPackets {
		return 0
	}
	return n
}

// IsSubjectOf tells whether this is the subject of a frame in the place, in
// any group.
func IsSubjectOf(at store.Place, subject string) bool {
	rest, ok := strings.CutPrefix(subject, "pmk.")
	_, rest, both := strings.Cut(rest, ".")
	number, is := strings.CutPrefix(rest, string(at)+".")
	return ok && both && is && !strings.Contains(number, ".") && PacketsIn(subject) > 0
}

// What the server counts for a message beside its subject and its data.
const (
	AroundFile   = 22 + 8 // header and hash
	AroundMemory = 16     // sequence and time
)

// Bytes is how much of what the server counts for a stream are frames: of so
// many stored bytes in so many messages of this place.
func Bytes(group string, at store.Place, stored, messages uint64, around int) int64 {
	each := around + len(Subject(group, at, 1))
	return int64(stored) - int64(messages)*int64(each) //nolint:gosec // counts of what lies on a disk
}

// Packets adds up how many packets the messages under these subjects hold.
func Packets(subjects map[string]uint64) int {
	n := 0
	for subject, messages := range subjects {
		n += PacketsIn(subject) * int(messages) //nolint:gosec // as above
	}
	return n
}
