package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// A liner is a program that knows nothing of packets: it is given a line for
// each, and its n-th answer is the n-th packet's output. Nobody stands between
// the node and the program's standard input and output.
type liner struct {
	*child
	to, from syscall.RawConn // the program's pipes, for what must not wait
	back     *bufio.Reader   // of from
	text     []byte          // the lines of a batch, for reuse
	answered bool            // the program has answered a line
}

// maxText is how much memory for lines is kept for the next batch, in bytes.
const maxText = 1 << 20

func newLiner(ctx context.Context, c *child) (*liner, error) {
	to, err := c.process.To.SyscallConn()
	if err != nil {
		return nil, err
	}
	from, err := c.process.From.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := c.process.Started(ctx); err != nil {
		return nil, err
	}
	return &liner{child: c, to: to, from: from, back: bufio.NewReaderSize(c.process.From, 64<<10)}, nil
}

// Run gives the program the lines of a batch while it reads as many back, so
// that neither waits for the other when both pipes are full.
func (l *liner) Run(ctx context.Context, batch []packet.Packet, out runner.Sink) error {
	if l.gone() {
		return runner.ErrUnused
	}
	l.idle = false
	l.log.begin()
	defer l.interrupt(ctx)()
	if err := l.extra(); err != nil {
		return l.broken(ctx, err)
	}
	given, err := l.asPaths(batch)
	if err != nil {
		return l.broken(ctx, err)
	}
	refused := l.join(given)
	fed := l.feed()
	err = l.answers(ctx, batch, refused, out)
	// Whoever has answered a line has read it: a write that still waits is
	// that of a program that did not, or of one that is broken.
	l.process.To.SetWriteDeadline(past())
	if unread := <-fed; err == nil && unread != nil {
		if errors.Is(unread, os.ErrDeadlineExceeded) {
			unread = errors.New("answered lines that it had not read; in lines mode each line has one answer")
		}
		err = l.broken(ctx, unread)
	}
	if err != nil {
		return err
	}
	l.idle = true
	return l.removePaths()
}

// join makes the text of a batch. It returns, by packet, why one has no line in
// it; nil if all have.
func (l *liner) join(batch []packet.Packet) (refused []error) {
	if cap(l.text) > maxText {
		l.text = nil
	}
	l.text = l.text[:0]
	for i := range batch {
		if err := checkLine(batch[i].Data); err != nil {
			if refused == nil {
				refused = make([]error, len(batch))
			}
			refused[i] = err
			continue
		}
		l.text = append(append(l.text, batch[i].Data...), '\n')
	}
	return refused
}

// feed writes the text to the program. How that ended is on the channel, which
// is waited for before the text is changed.
func (l *liner) feed() <-chan error {
	fed := make(chan error, 1)
	l.process.To.SetWriteDeadline(time.Time{})
	n, err := l.give(l.text) // most often all, without waking another goroutine
	if err != nil || n == len(l.text) {
		fed <- err
		return fed
	}
	go func() {
		_, err := l.process.To.Write(l.text[n:])
		fed <- err
	}()
	return fed
}

// give writes what the pipe takes without waiting.
func (l *liner) give(text []byte) (n int, err error) {
	failed := l.to.Write(func(fd uintptr) bool {
		n, err = unix.Write(int(fd), text)
		return true
	})
	if errors.Is(err, unix.EAGAIN) {
		return 0, failed
	}
	return n, errors.Join(failed, err)
}

// answers reads a line for each packet that was not refused.
func (l *liner) answers(ctx context.Context, batch []packet.Packet, refused []error, out runner.Sink) error {
	for i := range batch {
		if refused != nil && refused[i] != nil {
			out.Done(i, refused[i])
			continue
		}
		if l.m.Timeout > 0 {
			if err := l.limit(ctx, time.Now()); err != nil {
				return err
			}
		}
		told := l.awaitFirst(&batch[i])
		line, err := l.line()
		told()
		if err != nil {
			return l.broken(ctx, err)
		}
		l.answered = true
		switch { // an empty line is no packet, and an extractor's is for people
		case line == "":
		case len(l.m.Contract.Out) == 0:
			l.log.fail(l.env.Print(line))
		default:
			err = out.Emit(i, packet.Output{Data: line})
		}
		if len(l.m.Contract.Out) == 0 {
			err = l.log.unwritten()
		}
		out.Done(i, err)
	}
	return nil
}

// line reads the next line back, at most as long as a packet's data may be. With
// io.EOF comes what follows the last line. A pipe that was closed here has ended, too.
func (l *liner) line() (string, error) {
	var long []byte
	for {
		part, err := l.back.ReadSlice('\n')
		if int64(len(long)+len(part)) > l.env.MaxData+1 { // and its end
			return "", fmt.Errorf("printed a line of more than %d bytes", l.env.MaxData)
		}
		if err == nil && long == nil {
			return string(part[:len(part)-1]), nil
		}
		long = append(long, part...)
		switch {
		case err == nil:
			return string(long[:len(long)-1]), nil
		case errors.Is(err, os.ErrClosed):
			return string(long), io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return string(long), err
		}
	}
}

// extra fails if the program has printed a line that no packet asked for: the
// lines that follow would be taken for the answers of others. A program that
// prints it only after the next packet came is not seen through.
func (l *liner) extra() error {
	n := l.back.Buffered()
	if n == 0 {
		var failed error
		err := l.from.Read(func(fd uintptr) bool { // what is there, without waiting
			n, failed = unix.Read(int(fd), make([]byte, 1))
			return true
		})
		switch err = errors.Join(err, failed); {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
	}
	return errors.New("printed more than one line for a packet; in lines mode each line has one answer")
}

func checkLine(data string) error {
	switch {
	case strings.Contains(data, "\n"):
		return errors.New("the data holds a newline: in lines mode a packet is one line")
	case !utf8.ValidString(data) || strings.Contains(data, "\x00"):
		return errors.New("the data is not text: lines mode is for text")
	}
	return nil
}
