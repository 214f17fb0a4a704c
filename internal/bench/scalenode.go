package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A ScaleNode says what the node does that is measured from outside, as a
// process of its own: see [ServeScale].
type ScaleNode struct {
	Dir     string
	Chains  int
	Senders int // of each chain
	Each    int // packets that a sender gives at a time
	// Fill is how many packets the injectors give in total; 0 is as many as
	// they can.
	Fill int64
	// Hold makes the transforms stop after a few packets, so that the others
	// pile up in their inboxes.
	Hold bool
}

// A scaleReport is one line that the node says.
type scaleReport struct {
	Sent, Got, Wrong int64
	Live             int64 // chains that gave a result
}

// learn is how many packets a transform that is held runs before: by then the
// node knows that it is cheap, and stores large frames for it.
const learn = 1000

// reportEvery is how often the node says how far it is.
const reportEvery = 20 * time.Millisecond

// ServeScale runs a node as in, the first line of which is a [ScaleNode], says.
// The end of in ends it. It says on out how far it is, at once when the first
// packet has come through.
func ServeScale(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.New("a node to be measured reads its task from its standard input")
	}
	n := &scaleNode{release: make(chan struct{}), first: make(chan struct{})}
	if err := json.Unmarshal(lines.Bytes(), &n.task); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	opened, err := openDisk(ctx, n.task.Dir)
	if err != nil {
		return err
	}
	err = n.run(ctx, opened, lines, json.NewEncoder(out))
	return errors.Join(err, opened.Close())
}

type scaleNode struct {
	task ScaleNode

	claimed, sent, got, wrong atomic.Int64
	held, live                atomic.Int64
	quiet                     atomic.Bool
	release                   chan struct{} // closed when held transforms may go on
	first                     chan struct{} // closed with the first result
	once                      sync.Once
}

func (s *scaleNode) run(ctx context.Context, on store.Store, orders *bufio.Scanner, out *json.Encoder) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	fns := map[seed.Name]gofn.Func{}
	n := node.New(node.Config{
		Name: "bench", Store: on, Blobs: blob.Open(blob.Config{}), Durability: node.Disk,
		Kinds: Env{}.with(func(m seed.Manifest) gofn.Func { return fns[m.Name] }),
	})
	if err := errors.Join(n.Host(ctx, s.seeds(fns)...)...); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()

	reported := make(chan error, 1)
	go func() { reported <- s.report(ctx, out) }()
	for orders.Scan() { // there are none; it is the end that is waited for
	}
	s.quiet.Store(true)
	close(s.release)
	err := n.Drain(ctx)
	stop()
	return errors.Join(err, <-ended, <-reported)
}

// report says how far the node is until ctx ends.
func (s *scaleNode) report(ctx context.Context, out *json.Encoder) error {
	first := s.first
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for ended := false; ; {
		err := out.Encode(scaleReport{Sent: s.sent.Load(), Got: s.got.Load(), Wrong: s.wrong.Load(), Live: s.live.Load()})
		if err != nil || ended {
			return err
		}
		select {
		case <-tick.C:
		case <-first:
			first = nil
		case <-ctx.Done():
			ended = true // once more: what it did to its end
		}
	}
}

// seeds are those of the chains, with their functions in fns.
func (s *scaleNode) seeds(fns map[seed.Name]gofn.Func) []seed.Manifest {
	var inject, others []seed.Manifest
	for i := range s.task.Chains {
		raw := packet.State(fmt.Sprintf("String:UNGREETED%d", i))
		greeted := packet.State(fmt.Sprintf("String:GREETING%d", i))
		add := func(kind string, c seed.Contract, fn gofn.Func) seed.Manifest {
			m := goSeed(seed.Name(fmt.Sprintf("%s-%d", kind, i)), c)
			fns[m.Name] = fn
			return m
		}
		others = append(others,
			add("extract", seed.Contract{In: []packet.State{greeted}}, s.extract()),
			add("transform", seed.Contract{In: []packet.State{raw}, Out: []packet.State{greeted}}, s.transform))
		inject = append(inject, add("inject", seed.Contract{Out: []packet.State{raw}}, s.inject))
	}
	return append(others, inject...) // who takes is there before who gives
}

func (s *scaleNode) inject(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
	texts := payloads(s.task.Each)
	return sendFrom(ctx, s.task.Senders, &s.sent, func() []string {
		if s.quiet.Load() {
			return nil
		}
		n := int64(len(texts))
		if fill := s.task.Fill; fill > 0 {
			n = min(n, max(fill-s.claimed.Add(n)+n, 0))
		}
		return texts[:n]
	})
}

func (s *scaleNode) transform(_ context.Context, in packet.Packet, emit gofn.Emit) error {
	if s.task.Hold && s.held.Add(1) > learn {
		<-s.release
	}
	return emit("", prefix+in.Data)
}

// extract is the function of a chain's end.
func (s *scaleNode) extract() gofn.Func {
	var live sync.Once
	return func(_ context.Context, in packet.Packet, _ gofn.Emit) error {
		if len(in.Data) != len(prefix)+payloadSize || !strings.HasPrefix(in.Data, prefix) {
			s.wrong.Add(1)
		}
		s.got.Add(1)
		live.Do(func() { s.live.Add(1) })
		s.once.Do(func() { close(s.first) })
		return nil
	}
}
