package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// Frames are stored in one stream for each queue, one message for each frame,
// whose number is the message's sequence. A subject is
//
//	pmk.<group>.<queue>.<packets>
//	pmk.<group>.<queue>.<packets>-<delay>
//
// so how many packets a queue holds is a sum over the server's counts by
// subject, and no frame is read for it. The delay stands there and not in a
// header, since a frame may be as large as a message: headers would not fit.

// streamName is the name of a queue's stream, without its group's prefix. Names
// of queues consist of letters, digits, '_', '-' and '.', and a stream's name
// must not hold a '.', so '=' stands for it. The stream's folder has the same
// name, and some file systems take "A" for "a": a queue with capitals has a hash
// of it at the end.
func streamName(q store.Queue) string {
	name := strings.ReplaceAll(string(q), ".", "=")
	if strings.ToLower(name) != name {
		name += "=" + capitals(string(q))
	}
	return name
}

// capitals tells names apart that only differ in them.
func capitals(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:4])
}

// queueOf is the queue whose stream has this name, if any.
func queueOf(stream string) (store.Queue, bool) {
	q := store.Queue(strings.ReplaceAll(stream, "=", "."))
	if q.Check() == nil && streamName(q) == stream {
		return q, true
	}
	i := strings.LastIndexByte(stream, '=')
	if i < 0 {
		return "", false
	}
	q = store.Queue(strings.ReplaceAll(stream[:i], "=", "."))
	return q, q.Check() == nil && streamName(q) == stream
}

// groupPrefix is what stands before the names of a group's streams, since
// several groups share a cluster. Capitals are told apart as in [streamName].
func groupPrefix(group string) string {
	if strings.ToLower(group) != group {
		group += "=" + capitals(group)
	}
	return "pmk=" + group + "="
}

// filter matches the subjects of all frames in a queue.
func filter(group string, q store.Queue) string {
	return "pmk." + group + "." + string(q) + ".*"
}

// subject is that of a frame of so many packets that is delayed for so long. The
// packets have three digits always, so that the subjects of frames without a
// delay have one length.
func subject(group string, q store.Queue, packets int, after time.Duration) string {
	s := fmt.Sprintf("pmk.%s.%s.%03d", group, q, packets)
	if after > 0 {
		s += "-" + strconv.FormatInt(int64(after), 36)
	}
	return s
}

// parseSubject is what a frame's subject says; no packets and no delay if it is
// none of ours.
func parseSubject(subject string) (packets int, after time.Duration) {
	digits, delay, delayed := strings.Cut(subject[strings.LastIndexByte(subject, '.')+1:], "-")
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || n < 1 || n > store.MaxPackets {
		return 0, 0
	}
	if !delayed {
		return n, 0
	}
	d, err := strconv.ParseInt(delay, 36, 64)
	if err != nil || d < 0 || time.Duration(d) > store.MaxDelay {
		return 0, 0
	}
	return n, time.Duration(d)
}

// aroundMessage is what the server counts for a message beside its subject and
// its data: header and hash.
const aroundMessage = 22 + 8

// frameBytes is how much of what the server counts for a stream is frames: of
// so many stored bytes in so many messages of this queue. What the subjects of
// delayed frames have more is counted as if it were theirs.
func frameBytes(group string, q store.Queue, stored, messages uint64) int64 {
	each := aroundMessage + len(subject(group, q, 1, 0))
	return int64(stored) - int64(messages)*int64(each) //nolint:gosec // counts of what lies on a disk
}

// packetsIn adds up how many packets the messages under these subjects hold, and
// the bytes of their delays, see [frameBytes].
func packetsIn(subjects map[string]uint64) (packets int, delays int64) {
	for subject, messages := range subjects {
		n, _ := parseSubject(subject)
		packets += n * int(messages) //nolint:gosec // as above
		if i := strings.LastIndexByte(subject, '-'); i > strings.LastIndexByte(subject, '.') {
			delays += int64(len(subject)-i) * int64(messages) //nolint:gosec // as above
		}
	}
	return packets, delays
}
