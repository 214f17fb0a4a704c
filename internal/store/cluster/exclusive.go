package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/recap/pumpkin/packet"
)

// The locks of the group are what one node at a time has.
type locks struct {
	holder
	kv jetstream.KeyValue
}

const (
	// lockLapse is how long after its last renewal a lock is free. Its holder is
	// told before, after lockTold without one.
	lockLapse = 8 * time.Second
	lockTold  = 5 * time.Second
	lockRenew = 1500 * time.Millisecond
	// lockAgain is how often who waits for a lock tries. With lockLapse it is
	// below [store.MaxLapse].
	lockAgain = 500 * time.Millisecond
)

// openLocks opens the bucket of the group's locks, or makes it.
func (s *locks) openLocks(ctx context.Context) (err error) {
	s.kv, err = s.bucket(ctx, jetstream.KeyValueConfig{Bucket: "pmk_" + s.cfg.Group + "_locks", TTL: lockLapse})
	return err
}

// Exclusive waits until no other node does what the name stands for. See
// [store.Shared].
func (s *locks) Exclusive(ctx context.Context, name string) (context.Context, func(), error) {
	if err := packet.CheckName("name of a lock", name); err != nil {
		return nil, nil, err
	}
	for {
		if _, err := s.current(); err != nil {
			return nil, nil, fmt.Errorf("lock %s: %w", name, err)
		}
		start := time.Now()
		token := []byte(nuid.Next())
		calls, cancel := s.within(ctx, callWait)
		revision, err := s.kv.Create(calls, name, token)
		cancel()
		if err == nil {
			held, release := s.hold(ctx, name, token, revision, start)
			return held, release, nil
		}
		timer := time.NewTimer(lockAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, nil, ctx.Err()
		case <-s.ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// hold renews a lock until it is released or lost.
func (s *locks) hold(ctx context.Context, name string, token []byte, revision uint64, since time.Time) (context.Context, func()) {
	held, lose := context.WithCancel(ctx)
	stopped := context.AfterFunc(s.ctx, lose)
	done := make(chan struct{})
	go func() { // whoever releases waits for it
		defer close(done)
		defer stopped()
		defer lose()
		last := s.renewLock(held, name, token, revision, since)
		// Who waits may go on at once. A lock that was lost has another
		// revision, and then nothing is deleted.
		calls, cancel := context.WithTimeout(context.Background(), lockRenew)
		defer cancel()
		_ = s.kv.Delete(calls, name, jetstream.LastRevision(last)) // else it lapses
	}()
	return held, func() { lose(); <-done }
}

// renewLock renews a lock until held ends or it is lost, and gives its last
// revision.
func (s *locks) renewLock(held context.Context, name string, token []byte, revision uint64, since time.Time) uint64 {
	for {
		lost := time.NewTimer(time.Until(since.Add(lockTold)))
		again := time.NewTimer(lockRenew)
		select {
		case <-held.Done():
		case <-lost.C:
		case <-again.C:
		}
		again.Stop()
		lost.Stop()
		if held.Err() != nil || time.Since(since) >= lockTold {
			return revision
		}
		start := time.Now()
		calls, cancel := context.WithTimeout(held, lockRenew)
		next, err := s.kv.Update(calls, name, token, revision)
		var now jetstream.KeyValueEntry
		if errors.Is(err, jetstream.ErrKeyExists) {
			now, _ = s.kv.Get(calls, name) // whatever is wrong, it is not ours
		}
		cancel()
		switch {
		case err == nil:
			revision, since = next, start
		case now != nil && bytes.Equal(now.Value(), token):
			revision = now.Revision() // only the answer of a renewal was lost
		case errors.Is(err, jetstream.ErrKeyExists):
			return revision // it is another's
		}
	}
}
