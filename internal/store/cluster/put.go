package cluster

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/store"
)

// putRecords writes and deletes the records. Of several for one key the last
// counts.
func (c *commit) putRecords() error {
	last := make(map[store.Key]int, len(c.tx.Put))
	for i := range c.tx.Put {
		last[c.tx.Put[i].Key] = i
	}
	var all errgroup.Group
	all.SetLimit(maxAtOnce)
	for i := range c.tx.Put {
		r := &c.tx.Put[i]
		if last[r.Key] != i {
			continue
		}
		all.Go(func() error {
			err := c.repeat(func(ctx context.Context) error {
				_, err := c.s.js.Publish(ctx, c.s.recordSubject(r.Key), r.Value, jetstream.WithRetryAttempts(0))
				return err
			})
			if err != nil {
				return fmt.Errorf("write a record of the table %s: %w", r.In, err)
			}
			return nil
		})
	}
	for _, k := range c.tx.Delete {
		all.Go(func() error {
			err := c.repeat(func(ctx context.Context) error {
				return c.s.records.Purge(ctx, jetstream.WithPurgeSubject(c.s.recordSubject(k)))
			})
			if err != nil {
				return fmt.Errorf("delete a record of the table %s: %w", k.In, err)
			}
			return nil
		})
	}
	return all.Wait()
}
