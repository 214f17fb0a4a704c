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
)

// The kinds of messages to who pulls.
const (
	msgFrames = 1 + iota
	msgFailed
)

// A message is one to the owner.
type message struct {
	kind  byte
	pull  uint64
	index uint16        // of a verdict
	most  uint16        // of a pull
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
	case msgAck, msgSpoil:
		b = binary.BigEndian.AppendUint16(b, m.index)
	case msgRelease:
		b = binary.BigEndian.AppendUint16(b, m.index)
		b = binary.BigEndian.AppendUint64(b, uint64(max(m.after, 0)))
	}
	return b
}

// readMessage reads what appendMessage writes. At the end between two messages
// the error is io.EOF.
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
	case msgCancel:
	case msgAck, msgSpoil:
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

// An arrival is the answer to a pull.
type arrival struct {
	pull   uint64
	frames []*lease
	failed []byte // a problem
}

// readArrival reads an answer; most says how many frames the pull may have. The
// data of each frame is memory of its own.
func readArrival(r *bufio.Reader, most func(pull uint64) int) (arrival, error) {
	var buf [frameHead]byte
	if err := readFull(r, buf[:11]); err != nil {
		return arrival{}, err
	}
	a := arrival{pull: binary.BigEndian.Uint64(buf[1:])}
	n := int(binary.BigEndian.Uint16(buf[9:]))
	switch kind := buf[0]; kind {
	case msgFailed:
		if n > maxProblem {
			return a, fmt.Errorf("an error of %d bytes; at most %d are allowed", n, maxProblem)
		}
		a.failed = make([]byte, n)
		return a, readFull(r, a.failed)
	case msgFrames:
	default:
		return a, fmt.Errorf("a message of kind %d", kind)
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
			pull: a.pull, index: uint16(i),
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
