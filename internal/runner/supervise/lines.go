package supervise

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/runner/worker/wire"
)

// lines keeps the program alive and gives it a line for each packet. It
// returns how the program ended.
func (s *supervisor) lines() (string, error) {
	hello, err := s.greet()
	if err != nil {
		return "", err
	}
	in, feed, err := os.Pipe()
	if err != nil {
		return "", err
	}
	back, out, err := os.Pipe()
	if err != nil {
		return "", err
	}
	p, err := os.StartProcess(s.spec.Args[0], s.spec.Args, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{in, out, os.Stderr},
	})
	if err != nil {
		return "", err
	}
	in.Close()
	out.Close()
	s.child.Store(int64(p.Pid))
	l := &liner{supervisor: s, hello: hello, feed: feed, pipe: back, back: bufio.NewReaderSize(back, 64<<10)}
	for {
		run, data, err := s.next()
		if err != nil {
			return "", err // the node's end, or a mistake
		}
		err = l.run(run, data)
		if errors.Is(err, errProgramEnded) {
			state, err := p.Wait()
			if err != nil {
				return "", err
			}
			return endText(state), nil
		}
		if err != nil {
			return "", err
		}
	}
}

var errProgramEnded = errors.New("the program ended")

type liner struct {
	*supervisor
	hello wire.Hello
	feed  *os.File
	pipe  *os.File // that back reads
	back  *bufio.Reader
	reply wire.Reply
	blob  []string
	size  int
}

// run gives the program the lines of a batch and reads as many back.
func (l *liner) run(run []wire.Entry, data []string) error {
	if err := l.extra(); err != nil {
		return err
	}
	refused := make([]error, len(run))
	var text strings.Builder
	for i, d := range data {
		if refused[i] = checkLine(d); refused[i] == nil {
			text.WriteString(d)
			text.WriteByte('\n')
		}
	}
	fed := make(chan error, 1)
	if text.Len() <= pipeSize {
		_, err := l.feed.WriteString(text.String())
		fed <- err
	} else {
		go func() {
			_, err := l.feed.WriteString(text.String())
			fed <- err
		}()
	}
	l.reply.Reset()
	for i, entry := range run {
		l.reply.Started = entry.N
		done := wire.Done{N: entry.N}
		if refused[i] != nil {
			done.Failed, done.Error = true, refused[i].Error()
		} else {
			if l.back.Buffered() == 0 {
				if err := l.flush(); err != nil {
					return err
				}
			}
			line, err := l.line()
			if err != nil {
				return err
			}
			l.output(entry.N, line)
		}
		l.reply.Done = append(l.reply.Done, done)
		if l.size > pipeSize/2 {
			if err := l.flush(); err != nil {
				return err
			}
		}
	}
	if err := l.flush(); err != nil {
		return err
	}
	if err := <-fed; err != nil {
		return errProgramEnded
	}
	return nil
}

// extra fails if the program has printed a line that no packet asked for: the
// lines that follow would be taken for the answers of others. A program that
// prints it only after the next packet came is not seen through.
func (l *liner) extra() error {
	more := l.back.Buffered() > 0
	if !more {
		conn, err := l.pipe.SyscallConn()
		if err != nil {
			return err
		}
		err = conn.Control(func(fd uintptr) {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			more = n > 0
		})
		if err != nil {
			return err
		}
		if more {
			if _, err := l.back.Peek(1); errors.Is(err, io.EOF) {
				return errProgramEnded
			}
		}
	}
	if more {
		return errors.New("printed more than one line for a packet; in lines mode each line has one answer")
	}
	return nil
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

// line reads the next line back, at most as long as a packet's data may be.
func (l *liner) line() (string, error) {
	var long []byte
	for {
		part, err := l.back.ReadSlice('\n')
		if err == nil && long == nil {
			return string(part[:len(part)-1]), nil
		}
		long = append(long, part...)
		switch {
		case err == nil:
			return string(long[:len(long)-1]), nil
		case errors.Is(err, bufio.ErrBufferFull):
			if int64(len(long)) > l.hello.Max {
				return "", fmt.Errorf("printed a line of more than %d bytes", l.hello.Max)
			}
		case errors.Is(err, io.EOF):
			return "", errProgramEnded
		default:
			return "", err
		}
	}
}

// output makes a packet of a line; an empty one is none, and an extractor's is
// for people.
func (l *liner) output(n int64, line string) {
	switch {
	case line == "":
	case len(l.hello.Out) == 0:
		show(line)
	default:
		l.reply.Emit = append(l.reply.Emit, wire.Emit{N: n, Size: int64(len(line))})
		l.blob = append(l.blob, line)
		l.size += len(line)
	}
}

// flush tells the node what there is to tell.
func (l *liner) flush() error {
	if l.reply.Empty() {
		return nil
	}
	err := l.tell(&l.reply, l.blob...)
	l.reply.Reset()
	clear(l.blob)
	l.blob, l.size = l.blob[:0], 0
	return err
}
