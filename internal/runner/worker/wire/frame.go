// Package wire encodes and decodes the worker protocol, for both of its ends: the
// node, and the supervisor where it is itself the worker. Package worker describes
// the protocol. Nothing here starts anything.
package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"
)

// Version is the version of the protocol.
const Version = 1

const (
	// MaxHeader is the longest header of a frame, in bytes.
	MaxHeader = 1 << 20
	// MaxBlob is the longest blob of a frame, in bytes.
	MaxBlob = math.MaxUint32
)

// lengths is the size of what stands before a header.
const lengths = 8

// ReadHeader reads the lengths and the header of the next frame. The header is
// valid until the next read from r; the blob's bytes come next. It returns
// io.EOF at the end, io.ErrUnexpectedEOF within a frame.
func ReadHeader(r *bufio.Reader) (header []byte, blob int64, err error) {
	head, err := r.Peek(lengths)
	if err != nil {
		if errors.Is(err, io.EOF) && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, err
	}
	n := binary.BigEndian.Uint32(head)
	blob = int64(binary.BigEndian.Uint32(head[4:]))
	if n > MaxHeader {
		return nil, 0, Violation(fmt.Sprintf("a header of %d bytes; at most %d are allowed", n, MaxHeader))
	}
	r.Discard(lengths) // was peeked
	if int(n) <= r.Size() {
		header, err = r.Peek(int(n))
		if err == nil {
			r.Discard(int(n)) // was peeked
		}
	} else {
		header = make([]byte, n)
		_, err = io.ReadFull(r, header)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return header, blob, err
}

// A Violation is what the other end did against the protocol.
type Violation string

func (v Violation) Error() string { return string(v) }

// Begin starts a frame in dst: its header is appended next, then [End] is
// called.
func Begin(dst []byte) []byte { return append(dst[:0], make([]byte, lengths)...) }

// End fills in the lengths of the frame that [Begin] started, once its header
// is whole. blob is the length of what follows it.
func End(frame []byte, blob int64) ([]byte, error) {
	if n := len(frame) - lengths; n > MaxHeader {
		return nil, fmt.Errorf("a header of %d bytes; a frame takes %d", n, MaxHeader)
	}
	if blob > MaxBlob {
		return nil, fmt.Errorf("%d bytes of data; a frame takes %d", blob, int64(MaxBlob))
	}
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-lengths))
	binary.BigEndian.PutUint32(frame[4:], uint32(blob))
	return frame, nil
}

// AppendString appends s as a JSON string. What is not UTF-8 in it becomes
// U+FFFD.
func AppendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always has a form
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
