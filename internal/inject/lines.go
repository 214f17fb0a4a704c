package inject

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/recap/pumpkin/packet"
)

// EachLine calls use with every line of r, without the "\n" or "\r\n" that
// ends it; the last line need not have one. Nothing else is trimmed, and an
// empty line is a line. A line of more than most bytes, a failure to read and
// an error of use end it; the error names the line, counted from 1. most 0
// means DefaultMaxSize.
func EachLine(r io.Reader, most int, use func(line string) error) error {
	if most == 0 {
		most = DefaultMaxSize
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, min(most+2, 64<<10)), most+2) // and its end
	n := 0
	for lines.Scan() {
		if n++; len(lines.Bytes()) > most {
			return tooLong(n, most)
		}
		if err := use(lines.Text()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return tooLong(n+1, most)
	case err != nil:
		return fmt.Errorf("line %d: read: %w", n+1, err)
	}
	return nil
}

// tooLong is the error for a line beyond the limit.
func tooLong(line, most int) error {
	return fmt.Errorf("line %d has more than %d bytes", line, most)
}

// Lines injects a packet for every line of r: like p, with the line as its
// data and an id drawn for it. It returns how many were taken. See [EachLine]
// for what a line is.
func Lines(ctx context.Context, r io.Reader, p packet.Packet, into Injector) (taken int, err error) {
	err = EachLine(r, 0, func(line string) error {
		p.ID, p.Data = packet.NewID(), line
		if err := into.Inject(ctx, p); err != nil {
			return err
		}
		taken++
		return nil
	})
	return taken, err
}
