package worker

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// A source is an injector in lines mode: a program that is given nothing, and each line of whose
// standard output is a packet. Every run is a process of its own, which starts when the run does.
type source struct{ *program }

// Run takes lines until the program ends. While the sink has no room, nothing is read, and the
// program waits in its write. When ctx ends, the program is asked to end (SIGTERM), and what it has
// printed is taken as long as the sink does.
func (s source) Run(ctx context.Context, _ []packet.Packet, out runner.Sink) error {
	c, err := s.start()
	if err != nil {
		return &runner.Fault{Reason: err.Error()}
	}
	defer c.Close()
	l, err := newLiner(ctx, c)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &runner.Fault{Reason: err.Error()}
	}
	c.process.To.Close() // its standard input is empty
	defer context.AfterFunc(ctx, l.askToEnd)()
	began := time.Now()
	for {
		l.limitUntilAsked(ctx, began)
		line, err := l.line()
		if err == io.EOF { // the last line may have no end, unless the program was cut off in it
			err = l.endOfOutput(ctx, began)
			if err == nil && line != "" {
				err = out.Emit(0, packet.Output{Data: line})
			}
			return finish(ctx, err, out)
		}
		if err != nil {
			return l.broken(ctx, err)
		}
		if line == "" {
			continue
		}
		waited := time.Now()
		if err := out.Emit(0, packet.Output{Data: line}); err != nil {
			return finish(ctx, err, out)
		}
		began = began.Add(time.Since(waited)) // waiting for room is no part of the run
	}
}

// Close has nothing to end: every run ends its process.
func (s source) Close() error { return nil }

// askToEnd asks the program to end, and lets what it prints until then be read.
func (l *liner) askToEnd() {
	l.process.AskToEnd()
	l.process.From.SetReadDeadline(time.Now().Add(l.grace()))
}

// limitUntilAsked makes a read return at the end of the seed's time-out, unless the program was
// asked to end.
func (l *liner) limitUntilAsked(ctx context.Context, since time.Time) {
	if l.m.Timeout > 0 && ctx.Err() == nil && l.limit(ctx, since) != nil {
		l.process.From.SetReadDeadline(time.Now().Add(l.grace())) // it was overwritten
	}
}

// endOfOutput is nil for a program that ends well, else the fault. One that has closed its standard
// output may go on for as long as it likes, or as its time-out says.
func (l *liner) endOfOutput(ctx context.Context, since time.Time) error {
	limit, cancel := ctx, func() {}
	if l.m.Timeout > 0 {
		limit, cancel = context.WithDeadline(ctx, since.Add(l.m.Timeout))
	}
	defer cancel()
	if l.process.AwaitEnd(limit) != nil {
		return l.broken(ctx, os.ErrDeadlineExceeded)
	}
	if end, how := l.process.Ended(time.Second); end != "exit status 0" {
		return l.fault(end, how)
	}
	return nil
}

// finish ends the run: with ctx's error if that has ended.
func finish(ctx context.Context, err error, out runner.Sink) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	out.Done(0, err)
	return nil
}
