package cluster

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/store"
)

// The tables are the records of the group.
type tables struct {
	locks
	records      jetstream.Stream
	recordPrefix string // of the subjects in it
}

// The records of all tables of a group are in one key-value bucket. A key there
// is
//
//	<table>.<8 bytes>.<8 bytes>. ... .x<less than 8 bytes>
//
// the bytes of the record's key in hex, in tokens, so that the cluster finds all
// keys that begin alike. A record that is deleted is purged: the markers that
// clients of such buckets leave otherwise would stay for ever. The bucket gives
// nothing directly, since a replica that lags would give an older value.

const (
	tokenBytes = 8
	// scanAhead is how many records a scan reads at a time.
	scanAhead = 16
)

// openRecords opens the bucket, or makes it.
func (s *tables) openRecords(ctx context.Context) error {
	s.recordPrefix = "$KV.pmk_" + s.cfg.Group + "_records."
	name := "KV_pmk_" + s.cfg.Group + "_records"
	var err error
	s.records, err = s.js.Stream(ctx, name)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	err = s.withReplicas(func(replicas int) error {
		s.records, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name:              name,
			Subjects:          []string{s.recordPrefix + ">"},
			Discard:           jetstream.DiscardNew,
			Storage:           jetstream.FileStorage,
			Replicas:          replicas,
			MaxMsgsPerSubject: 1,
			MaxMsgs:           -1,
			MaxBytes:          -1,
			MaxMsgSize:        -1,
			Duplicates:        duplicates,
			AllowRollup:       true,
			DenyDelete:        true,
		})
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another node was faster
		s.records, err = s.js.Stream(ctx, name)
	}
	return err
}

// probe sees that the cluster takes the longest key: a server ends the connection
// of whoever sends a line that is too long for it.
func (s *tables) probe(ctx context.Context) error {
	longest := s.recordSubject(store.Key{In: store.Table(strings.Repeat("t", store.MaxTable)), Key: strings.Repeat("k", store.MaxKey)})
	err := s.nc.PublishRequest(s.madeSubject()+"."+strings.Repeat("k", len(longest)), nats.NewInbox(), nil)
	if err == nil {
		err = s.nc.FlushWithContext(ctx)
	}
	if err != nil && s.nc.LastError() != nil {
		err = s.nc.LastError() // why the connection ended
	}
	return err
}

// recordSubject is where a record is stored.
func (s *tables) recordSubject(k store.Key) string {
	return s.recordPrefix + string(k.In) + "." + tokens(k.Key) + "x" + hex.EncodeToString([]byte(k.Key[len(k.Key)/tokenBytes*tokenBytes:]))
}

// tokens are the whole tokens of a key, each with a dot.
func tokens(key string) string {
	var b strings.Builder
	for ; len(key) >= tokenBytes; key = key[tokenBytes:] {
		b.WriteString(hex.EncodeToString([]byte(key[:tokenBytes])))
		b.WriteByte('.')
	}
	return b.String()
}

// keyOf is the key of the record in the table that is stored there.
func (s *tables) keyOf(table store.Table, subject string) (string, bool) {
	rest, ok := strings.CutPrefix(subject, s.recordPrefix+string(table)+".")
	i := strings.LastIndexByte(rest, '.') + 1
	last, marked := strings.CutPrefix(rest[i:], "x")
	key, err := hex.DecodeString(strings.ReplaceAll(rest[:i], ".", "") + last)
	return string(key), ok && marked && err == nil
}

// Get is the record under a key. See [store.Store].
func (s *tables) Get(ctx context.Context, key store.Key) ([]byte, bool, error) {
	if _, err := s.current(); err != nil {
		return nil, false, err
	}
	if err := key.Check(); err != nil {
		return nil, false, err
	}
	value, ok, err := s.record(ctx, s.recordSubject(key))
	if err != nil {
		return nil, false, fmt.Errorf("read a record of the table %s: %w", key.In, s.unanswered(ctx, err))
	}
	return value, ok, nil
}

// record reads what is stored under a subject. A leader that is being elected is
// waited for.
func (s *tables) record(ctx context.Context, subject string) (value []byte, ok bool, err error) {
	err = s.untilAnswered(ctx, func(ctx context.Context) error {
		msg, err := s.records.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err == nil {
			value, ok = msg.Data, true
		}
		return err
	})
	return value, ok, err
}

// Scan shows the records whose keys begin with prefix. See [store.Store]. It asks
// for their keys first, and then for the records, some at a time.
func (s *tables) Scan(ctx context.Context, table store.Table, prefix string, visit func(key string, value []byte) bool) error {
	if _, err := s.current(); err != nil {
		return err
	}
	if err := table.Check(); err != nil {
		return err
	}
	keys, err := s.keys(ctx, table, prefix)
	if err != nil {
		return fmt.Errorf("list the keys of the table %s: %w", table, s.unanswered(ctx, err))
	}
	for some := range slices.Chunk(keys, scanAhead) {
		values, there := make([][]byte, len(some)), make([]bool, len(some))
		var all errgroup.Group
		for i, key := range some {
			all.Go(func() (err error) {
				values[i], there[i], err = s.record(ctx, s.recordSubject(store.Key{In: table, Key: key}))
				return err
			})
		}
		if err := all.Wait(); err != nil {
			return fmt.Errorf("read the records of the table %s: %w", table, s.unanswered(ctx, err))
		}
		for i, key := range some {
			if there[i] && !visit(key, values[i]) {
				return nil
			}
		}
	}
	return nil
}

// keys are the keys of a table that begin with prefix, in their order.
func (s *tables) keys(ctx context.Context, table store.Table, prefix string) ([]string, error) {
	var info *jetstream.StreamInfo
	filter := s.recordPrefix + string(table) + "." + tokens(prefix) + ">"
	err := s.untilAnswered(ctx, func(ctx context.Context) (err error) {
		info, err = s.records.Info(ctx, jetstream.WithSubjectFilter(filter))
		return err
	})
	if err != nil {
		return nil, err
	}
	var keys []string
	for subject := range info.State.Subjects {
		if key, ok := s.keyOf(table, subject); ok && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, cmp.Compare[string])
	return keys, nil
}
