package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/pause"
)

const (
	// maxBatch and maxBatchBytes bound what is sent in one request: it is kept until
	// the node has it.
	maxBatch      = 1024
	maxBatchBytes = 4 << 20
	// linger is how long the next packet is waited for before those that there are
	// are sent.
	linger = 2 * time.Millisecond
	// nodeAway is how long a node that does not answer is waited for.
	nodeAway = 30 * time.Second
	// nodeBack is how long an attempt lasts only with a node that was there: what is sent may be
	// one large packet, which is not taken before it has all come.
	nodeBack = 5 * time.Second
	// brokenOff is how long a node is looked for that has another name at its next start.
	brokenOff = time.Second
	// lookForNode is how often it is looked for.
	lookForNode = 250 * time.Millisecond
)

// A sender brings packets to one node, which may be started again meanwhile. Each has
// an id, by which the node knows what it has: what was sent without an answer is sent
// again.
type sender struct {
	node   string
	find   func(context.Context) (*api.Client, string, error)
	client *api.Client
	say    func(string)
	away   time.Duration
	// renamed says that another start of the node has another name: it is waited for only as
	// long as its connection may have been broken off without it.
	renamed bool
	// taken counts the packets that surely are taken, and tried those behind them of
	// which nothing is known.
	taken, tried int
}

// one sends one packet whose data is all that in gives. What can be read again is sent again where
// the node was away.
func (s *sender) one(ctx context.Context, p api.Sending, in io.Reader) (sent api.Sent, err error) {
	at, from, size := repeatable(in)
	if at == nil {
		sent, err = s.client.Send(ctx, p, in, -1)
	} else {
		s.tried = 1
		err = s.keep(ctx, func(ctx context.Context) (err error) {
			// Each attempt has a reader of its own: what sends closes what it is given, and
			// may still read it when it has failed.
			sent, err = s.client.Send(ctx, p, io.NewSectionReader(at, from, size), size)
			if file, ok := in.(*os.File); ok && err != nil {
				if info, unreadable := file.Stat(); unreadable != nil || info.Size() < from+size {
					err = &fs.PathError{Op: "send", Path: file.Name(), Err: errors.New("it was cut off while it was sent")}
				}
			}
			return err
		})
	}
	if err == nil {
		s.taken, s.tried = 1, 0
	}
	return sent, err
}

// repeatable is in if it can be read again, from where on, and how much: a file, or a text.
func repeatable(in io.Reader) (at io.ReaderAt, from, size int64) {
	switch r := in.(type) {
	case *strings.Reader:
		return r, 0, r.Size()
	case *os.File:
		info, err := r.Stat()
		if err != nil || !info.Mode().IsRegular() {
			return nil, 0, 0
		}
		if from, err = r.Seek(0, io.SeekCurrent); err != nil {
			return nil, 0, 0
		}
		return r, from, max(info.Size()-from, 0)
	}
	return nil, 0, 0
}

// A read is what a source gave.
type read struct {
	packet api.Sending
	err    error
}

// all sends what next gives until that is io.EOF.
func (s *sender) all(ctx context.Context, next func() (api.Sending, error)) error {
	// Nobody waits for its end: what it reads may never go on.
	reads := make(chan read)
	go func() {
		for {
			p, err := next()
			p.Data = bytes.Clone(p.Data)
			select {
			case reads <- read{p, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		batch, err := gather(ctx, reads)
		if failed := s.batch(ctx, batch); failed != nil {
			return failed
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s taken, then: %w", english.Plural(s.taken, "packet", ""), err)
		}
	}
}

// gather waits for a packet, and takes with it those that come right behind. What the
// source ends with is the error.
func gather(ctx context.Context, reads <-chan read) (batch []api.Sending, err error) {
	wait := time.NewTimer(time.Hour)
	defer wait.Stop()
	for size := 0; len(batch) < maxBatch && size < maxBatchBytes; {
		if len(batch) > 0 {
			wait.Reset(linger)
		}
		select {
		case r := <-reads:
			if r.err != nil {
				return batch, r.err
			}
			batch, size = append(batch, r.packet), size+len(r.packet.Data)
		case <-wait.C:
			if len(batch) > 0 {
				return batch, nil
			}
			wait.Reset(time.Hour)
		case <-ctx.Done():
			return batch, ctx.Err()
		}
	}
	return batch, nil
}

// batch sends these packets, again where it has to.
func (s *sender) batch(ctx context.Context, batch []api.Sending) error {
	s.tried = len(batch)
	err := s.keep(ctx, func(ctx context.Context) error {
		if len(batch) == 0 {
			return nil
		}
		left, at := batch, 0 // what sends may look at them once more after Send has failed
		taken, err := s.client.SendMany(ctx, func() (api.Sending, error) {
			if at == len(left) {
				return api.Sending{}, io.EOF
			}
			at++
			return left[at-1], nil
		})
		before := s.taken
		batch = batch[taken:]
		s.taken, s.tried = s.taken+taken, s.tried-taken
		return renumber(err, before)
	})
	if problem := (*api.Problem)(nil); errors.As(err, &problem) && problem.Status != http.StatusServiceUnavailable {
		return fmt.Errorf("%s taken, then: %w", english.Plural(s.taken, "packet", ""), err)
	}
	return err
}

// numbered is a packet's number in what a node says of a request.
var numbered = regexp.MustCompile(`^packet ([0-9]+): `)

// renumber gives a packet in the node's answer the number that it has among all, of which so
// many were in requests before.
func renumber(err error, before int) error {
	problem, ok := err.(*api.Problem)
	if !ok {
		return err
	}
	found := numbered.FindStringSubmatch(problem.Detail)
	if found == nil {
		return err
	}
	number, _ := strconv.Atoi(found[1]) // it is one, and the node counts no further
	again := *problem
	again.Detail = fmt.Sprintf("packet %d: %s", before+number, problem.Detail[len(found[0]):])
	return &again
}

// keep calls send until it succeeds. While the node is away it waits for it, and says
// so, but only for a time in which it did not come back.
func (s *sender) keep(ctx context.Context, send func(context.Context) error) error {
	var since time.Time
	for {
		before, began := s.taken, time.Now()
		err := send(ctx)
		var problem *api.Problem
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return s.unknown(ctx.Err())
		case errors.As(err, &problem) && problem.Status != http.StatusServiceUnavailable:
			return err
		case errors.As(err, new(*fs.PathError)):
			return err // what is sent cannot be read
		}
		anew := since.IsZero() || s.taken > before || time.Since(began) > nodeBack
		if anew {
			since = time.Now()
		}
		if s.renamed {
			if !s.await(ctx, since.Add(brokenOff)) {
				return s.unknown(fmt.Errorf("the node %s is away, and not waited for, since it has another name when it starts again: %w", s.node, err))
			}
			continue
		}
		if anew {
			s.say(fmt.Sprintf("the node %s is away: %v; waiting for it for %v (Ctrl-C stops waiting)", s.node, err, s.away))
		}
		if !s.await(ctx, since.Add(s.away)) {
			return s.unknown(fmt.Errorf("the node %s is away: %w", s.node, err))
		}
	}
}

// await waits until the node answers, at most until then.
func (s *sender) await(ctx context.Context, end time.Time) bool {
	for time.Now().Before(end) && pause.For(ctx, lookForNode) {
		ask, cancel := context.WithDeadline(ctx, end)
		client, _, err := s.find(ask)
		cancel()
		if err == nil {
			s.client.Close()
			s.client = client
			return true
		}
	}
	return false
}

// unknown adds to why a sending ended what is known of its packets.
func (s *sender) unknown(err error) error {
	if s.tried == 0 {
		return fmt.Errorf("%s taken, then: %w", english.Plural(s.taken, "packet", ""), err)
	}
	return fmt.Errorf("%s taken; %d more may have been: %w", english.Plural(s.taken, "packet was", "packets were"), s.tried, err)
}
