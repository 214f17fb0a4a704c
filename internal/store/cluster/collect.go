package cluster

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

const (
	// collectLock is what the node that collects is alone at.
	collectLock = "collect"
	// clockKey is an entry of the index that only tells the cluster's time.
	clockKey = "clock"
)

// collect removes large data that no frame names any more, from time to time.
func (b *Blobs) collect() {
	ctx := b.s.ctx
	tick := time.NewTicker(b.grace / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held, release, err := b.s.Exclusive(ctx, collectLock)
		if err != nil {
			return // the store is closed
		}
		removed, err := b.collectOnce(held)
		if held.Err() == nil && err != nil {
			b.s.log.Warn("large data that no packet needs could not be looked for, and stays", "error", err)
		}
		if removed > 0 {
			b.s.log.Debug("large data that no packet needs any more was removed", "blobs", removed)
		}
		release()
	}
}

// collectOnce removes what nobody has used for the grace and no frame names.
func (b *Blobs) collectOnce(ctx context.Context) (removed int, err error) {
	now, err := b.clock(ctx)
	if err != nil {
		return 0, err
	}
	long := now.Add(-b.grace)
	old, err := b.unused(ctx, long)
	if err != nil {
		return 0, err
	}
	if len(old) > 0 {
		if err := b.spare(ctx, old); err != nil {
			return 0, err
		}
	}
	for _, kv := range old {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		gone, err := b.remove(ctx, kv)
		if err != nil {
			return removed, err
		}
		if gone {
			removed++
		}
	}
	if err := b.orphans(ctx, long); err != nil {
		return removed, err
	}
	// What the index has of entries that were removed.
	return removed, b.index.PurgeDeletes(ctx, jetstream.DeleteMarkersOlderThan(b.grace))
}

// clock is the time by the cluster.
func (b *Blobs) clock(ctx context.Context) (time.Time, error) {
	ctx, cancel := b.s.within(ctx, callWait)
	defer cancel()
	if _, err := b.index.Put(ctx, clockKey, nil); err != nil {
		return time.Time{}, err
	}
	now, err := b.index.Get(ctx, clockKey)
	if err != nil {
		return time.Time{}, err
	}
	return now.Created(), nil
}

// entries reads the whole index.
func (b *Blobs) entries(ctx context.Context, visit func(packet.Sum, jetstream.KeyValueEntry)) error {
	watch, err := b.index.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer watch.Stop() // it ends with the connection at the latest
	for {
		late, cancel := b.s.within(ctx, 2*callWait)
		select {
		case kv := <-watch.Updates():
			cancel()
			if kv == nil {
				return ctx.Err()
			}
			if sum, err := hex.DecodeString(kv.Key()); err == nil && len(sum) == len(packet.Sum{}) {
				visit(packet.Sum(sum), kv)
			}
		case <-late.Done():
			cancel()
			return fmt.Errorf("read the index of large data: %w", late.Err())
		}
	}
}

// unused are the entries that were renewed before then.
func (b *Blobs) unused(ctx context.Context, then time.Time) (map[packet.Sum]jetstream.KeyValueEntry, error) {
	old := map[packet.Sum]jetstream.KeyValueEntry{}
	err := b.entries(ctx, func(sum packet.Sum, kv jetstream.KeyValueEntry) {
		if kv.Created().Before(then) {
			old[sum] = kv
		}
	})
	return old, err
}

// spare takes from old what frames name, and renews it. A frame that goes from
// one queue to another meanwhile is appended, and that renews what it names, so
// it does not matter where it is seen.
func (b *Blobs) spare(ctx context.Context, old map[packet.Sum]jetstream.KeyValueEntry) error {
	streams, err := b.s.listStreams(ctx)
	if err != nil {
		return err
	}
	for _, st := range streams {
		var failed error
		err := b.s.read(ctx, b.s.lookUp(st.queue), filter(b.s.cfg.Group, st.queue), 0, func(r store.Stored) bool {
			if !packet.FrameHasBlobs(r.Data) {
				return true
			}
			_, ps, err := packet.ParseFrame(r.Data)
			if err != nil { // what it names is not known
				failed = fmt.Errorf("frame %d of %s: %w", r.Number, st.queue, err)
				return false
			}
			for i := range ps {
				if ps[i].Blob == nil || old[ps[i].Blob.Sum] == nil {
					continue
				}
				if failed = b.renew(ctx, ps[i].Blob.Sum); failed != nil && !errors.Is(failed, errNoBlob) {
					return false
				}
				failed = nil
				delete(old, ps[i].Blob.Sum)
			}
			return true
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a blob out of the index, unless it was renewed, and then deletes
// its object.
func (b *Blobs) remove(ctx context.Context, kv jetstream.KeyValueEntry) (bool, error) {
	calls, cancel := b.s.within(ctx, callWait)
	defer cancel()
	sum, err := hex.DecodeString(kv.Key())
	if err != nil {
		return false, err
	}
	e, now, err := b.lookUp(calls, packet.Sum(sum))
	if errors.Is(err, errNoBlob) || err == nil && now.Revision() != kv.Revision() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = b.index.Purge(calls, kv.Key(), jetstream.LastRevision(kv.Revision()))
	if isCode(err, codeWrongLast) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, b.objects.purge(calls, e.Object)
}

// orphans deletes objects, and chunks of objects, that are older than then and
// that the index does not name: they are left of a node that died on the way.
func (b *Blobs) orphans(ctx context.Context, then time.Time) error {
	stream, err := b.s.js.Stream(ctx, "OBJ_"+b.objects.bucket)
	if err != nil {
		return err
	}
	prefix := b.objects.chunksOf("")
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+">"))
	if err != nil {
		return err
	}
	// The index is read after the objects: what was there by then is named.
	named := map[string]bool{}
	err = b.entries(ctx, func(sum packet.Sum, kv jetstream.KeyValueEntry) {
		if e, _, err := parseEntry(kv); err == nil {
			named[e.Object] = true
		}
	})
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		object := strings.TrimPrefix(subject, prefix)
		if named[object] {
			continue
		}
		last, err := stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && !last.Time.Before(then) {
			continue
		}
		if err == nil {
			err = b.objects.purge(ctx, object)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
