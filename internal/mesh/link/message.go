package link

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// The kinds of messages to the owner of a store.
const (
	msgPull = 1 + iota
	msgCancel
	msgAck
	msgRelease
	msgSpoil
	msgResume
	msgLeave
)

// The kinds of messages to who pulls.
const (
	msgFrames = 1 + iota
	msgFailed
	msgResumed
	msgTaken
)

// A message is one to the owner.
type message struct {
	kind  byte
	pull  uint64
	index uint16        // of a verdict
	most  uint16        // of a pull, or how many frames a resume names
	place store.Queue   // of a pull
	after time.Duration // of a release
}

// appendMessage writes m behind b.
func appendMessage(b []byte, m message) []byte {
	b = append(b, m.kind)
	b = binary.BigEndian.AppendUint64(b, m.pull)
	switch m.kind {
	case msgPull:
		b = binary.BigEndian.AppendUint16(b, m.most)
		b = append(b, byte(len(m.place)))
		b = append(b, m.place...)
	case msgResume:
		b = binary.BigEndian.AppendUint16(b, m.most)
	case msgAck, msgSpoil:
		b = binary.BigEndian.AppendUint16(b, m.index)
	case msgRelease:
		b = binary.BigEndian.AppendUint16(b, m.index)
		b = binary.BigEndian.AppendUint64(b, uint64(max(m.after, 0)))
	}
	return b
}

// appendRefs writes the frames of a resume behind it.
func appendRefs(b []byte, frames []store.Ref) []byte {
	for _, f := range frames {
		b = binary.BigEndian.AppendUint64(b, f.Number)
		b = append(b, byte(len(f.At)))
		b = append(b, f.At...)
	}
	return b
}

// readRefs reads what appendRefs writes.
func readRefs(r io.Reader, count uint16) ([]store.Ref, error) {
	if count > maxLeases {
		return nil, fmt.Errorf("a resume of %d leases; at most %d are allowed", count, maxLeases)
	}
	frames := make([]store.Ref, count)
	var buf [9]byte
	for i := range frames {
		if err := readFull(r, buf[:]); err != nil {
			return nil, err
		}
		place := make([]byte, buf[8])
		if err := readFull(r, place); err != nil {
			return nil, err
		}
		frames[i] = store.Ref{At: store.Queue(place), Number: binary.BigEndian.Uint64(buf[:])}
	}
	return frames, nil
}

// readMessage reads what appendMessage writes; what a resume names is read apart. At
// the end between two messages the error is io.EOF.
func readMessage(r *bufio.Reader) (message, error) {
	var buf [16]byte
	kind, err := r.ReadByte()
	if err != nil {
		return message{}, err
	}
	m := message{kind: kind}
	rest := 8
	switch kind {
	case msgPull:
		rest += 3
	case msgCancel, msgLeave:
	case msgAck, msgSpoil, msgResume:
		rest += 2
	case msgRelease:
		// The delay is read apart.
		rest += 2
	default:
		return m, fmt.Errorf("a message of kind %d", kind)
	}
	if err := readFull(r, buf[:rest]); err != nil {
		return m, err
	}
	m.pull = binary.BigEndian.Uint64(buf[:])
	switch kind {
	case msgPull:
		m.most = binary.BigEndian.Uint16(buf[8:])
		place := make([]byte, buf[10])
		if err := readFull(r, place); err != nil {
			return m, err
		}
		m.place = store.Queue(place)
	case msgResume:
		m.most = binary.BigEndian.Uint16(buf[8:])
	case msgAck, msgSpoil:
		m.index = binary.BigEndian.Uint16(buf[8:])
	case msgRelease:
		m.index = binary.BigEndian.Uint16(buf[8:])
		if err := readFull(r, buf[:8]); err != nil {
			return m, err
		}
		m.after = time.Duration(binary.BigEndian.Uint64(buf[:]))
		if m.after < 0 || m.after > maxDelay {
			return m, fmt.Errorf("a release with a delay of %d ns; at most %d are allowed", uint64(m.after), int64(maxDelay))
		}
	}
	return m, nil
}

// maxDelay is the longest delay of a release.
const maxDelay = 365 * 24 * time.Hour

// readFull fills buf; an end within is an error of its own.
func readFull(r io.Reader, buf []byte) error {
	_, err := io.ReadFull(r, buf)
	if err == io.EOF && len(buf) > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// frameHead is how many bytes stand before the data of a frame.
const frameHead = 8 + 4 + 4

// writeFrames writes the answer to a pull.
func writeFrames(w *bufio.Writer, pull uint64, leases []store.Lease) error {
	var buf [frameHead]byte
	buf[0] = msgFrames
	binary.BigEndian.PutUint64(buf[1:], pull)
	binary.BigEndian.PutUint16(buf[9:], uint16(len(leases)))
	w.Write(buf[:11]) // the writer keeps its first error
	for _, l := range leases {
		binary.BigEndian.PutUint64(buf[:], l.Number())
		binary.BigEndian.PutUint32(buf[8:], uint32(l.Deliveries()))
		binary.BigEndian.PutUint32(buf[12:], uint32(len(l.Data())))
		w.Write(buf[:])
		w.Write(l.Data())
	}
	return w.Flush()
}

// writeFailed answers a pull with an error.
func writeFailed(w *bufio.Writer, pull uint64, text []byte) error {
	var buf [11]byte
	buf[0] = msgFailed
	binary.BigEndian.PutUint64(buf[1:], pull)
	binary.BigEndian.PutUint16(buf[9:], uint16(len(text)))
	w.Write(buf[:])
	w.Write(text)
	return w.Flush()
}

// writeResumed answers a resume with the leases that have lapsed.
func writeResumed(w *bufio.Writer, pull uint64, lapsed []uint16) error {
	buf := binary.BigEndian.AppendUint64([]byte{msgResumed}, pull)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(lapsed)))
	for _, index := range lapsed {
		buf = binary.BigEndian.AppendUint16(buf, index)
	}
	w.Write(buf)
	return w.Flush()
}

// writeTaken says how many verdicts have come.
func writeTaken(w *bufio.Writer, verdicts uint64) error {
	w.Write(append(binary.BigEndian.AppendUint64([]byte{msgTaken}, verdicts), 0, 0))
	return w.Flush()
}

// An arrival is a message to who pulls.
type arrival struct {
	kind   byte
	pull   uint64 // of a taken: how many verdicts
	frames []*lease
	failed []byte // a problem
	lapsed []uint16
}

// readArrival reads a message; most says how many frames the pull may have. The
// data of each frame is memory of its own.
func readArrival(r *bufio.Reader, most func(pull uint64) int) (arrival, error) {
	var buf [frameHead]byte
	if err := readFull(r, buf[:11]); err != nil {
		return arrival{}, err
	}
	a := arrival{kind: buf[0], pull: binary.BigEndian.Uint64(buf[1:])}
	n := int(binary.BigEndian.Uint16(buf[9:]))
	switch a.kind {
	case msgTaken:
		return a, nil
	case msgResumed:
		a.lapsed = make([]uint16, n)
		for i := range a.lapsed {
			if err := readFull(r, buf[:2]); err != nil {
				return a, err
			}
			a.lapsed[i] = binary.BigEndian.Uint16(buf[:])
		}
		return a, nil
	case msgFailed:
		if n > maxProblem {
			return a, fmt.Errorf("an error of %d bytes; at most %d are allowed", n, maxProblem)
		}
		a.failed = make([]byte, n)
		return a, readFull(r, a.failed)
	case msgFrames:
	default:
		return a, fmt.Errorf("a message of kind %d", a.kind)
	}
	if n < 1 || n > most(a.pull) {
		return a, fmt.Errorf("%d frames for a pull of at most %d", n, most(a.pull))
	}
	a.frames = make([]*lease, n)
	for i := range a.frames {
		if err := readFull(r, buf[:]); err != nil {
			return a, err
		}
		size := binary.BigEndian.Uint32(buf[12:])
		if size > store.MaxFrame {
			return a, fmt.Errorf("a frame of %d bytes; at most %d are allowed", size, store.MaxFrame)
		}
		l := &lease{
			grant:      &grant{pull: a.pull, index: uint16(i)},
			number:     binary.BigEndian.Uint64(buf[:]),
			deliveries: int(binary.BigEndian.Uint32(buf[8:])),
			data:       make([]byte, size),
		}
		if err := readFull(r, l.data); err != nil {
			return a, err
		}
		a.frames[i] = l
	}
	return a, nil
}
