package inject

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/recap/pumpkin/packet"
)

// Lines reads a stream line by line. A line goes without the "\n" that ends
// it; the last one need not have any. Nothing else is trimmed, as data may end in "\r",
// and an empty line is a line.
type Lines struct {
	scanner *bufio.Scanner
	most    int
	n       int
}

// NewLines reads r, whose lines have at most that many bytes; 0 means
// [packet.MaxFile].
func NewLines(r io.Reader, most int) *Lines {
	if most == 0 {
		most = packet.MaxFile
	}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, min(most+2, 64<<10)), most+2) // and its end
	scanner.Split(splitLine)
	return &Lines{scanner: scanner, most: most}
}

// splitLine is a [bufio.SplitFunc], as bufio.ScanLines but for a "\r" at the end.
func splitLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	switch i := bytes.IndexByte(data, '\n'); {
	case i >= 0:
		return i + 1, data[:i], nil
	case atEOF && len(data) > 0:
		return len(data), data, nil
	}
	return 0, nil, nil
}

// Next is the next line, which is good until the call after. After the last its
// error is io.EOF; any other names the line, counted from 1, that is too long
// or cannot be read, and no line follows it.
func (l *Lines) Next() ([]byte, error) {
	l.n++
	if l.scanner.Scan() {
		if line := l.scanner.Bytes(); len(line) <= l.most {
			return line, nil
		}
		return nil, l.tooLong()
	}
	switch err := l.scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, l.tooLong()
	case err != nil:
		return nil, fmt.Errorf("line %d: read: %w", l.n, err)
	}
	return nil, io.EOF
}

func (l *Lines) tooLong() error {
	return fmt.Errorf("line %d has more than %d bytes", l.n, l.most)
}
