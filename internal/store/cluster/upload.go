package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

const (
	// chunk is how much one message of an object holds.
	chunk = 128 << 10
	// window is how many of them are on their way at a time. The client's own
	// Put has thousands, which is more than a stream with replicas takes.
	window = 16
	// chunkWait is how long a chunk may take.
	chunkWait = 10 * time.Second
)

// An upload is data on its way into the object store, in the form that its
// clients have agreed on: chunks, then a message that describes them. Its
// chunks have the object's own name, since it is drawn.
type upload struct {
	to     *objectStore
	object string
	flying []jetstream.PubAckFuture
}

// run sends all that r gives.
func (u *upload) run(ctx context.Context, r io.Reader, limit int64) (packet.Blob, error) {
	sum := sha256.New()
	r = io.TeeReader(io.LimitReader(r, limit+1), sum)
	var size int64
	var sent uint32
	for {
		// What is published is not ours any more.
		data := make([]byte, chunk)
		n, err := io.ReadFull(r, data)
		if n > 0 {
			if size += int64(n); size > limit {
				return packet.Blob{}, fmt.Errorf("%w: more than %d bytes", store.ErrTooLarge, limit)
			}
			if err := u.send(ctx, &nats.Msg{Subject: u.to.chunksOf(u.object), Data: data[:n]}); err != nil {
				return packet.Blob{}, err
			}
			sent++
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return packet.Blob{}, err // the source's, not the cluster's
		}
	}
	// Nothing is said of chunks that are not there.
	if err := u.landed(ctx, 0); err != nil {
		return packet.Blob{}, err
	}
	if err := u.describe(ctx, size, sent, sum); err != nil {
		return packet.Blob{}, err
	}
	return packet.Blob{Sum: packet.Sum(sum.Sum(nil)), Size: size}, nil
}

// describe sends the message that makes chunks an object.
func (u *upload) describe(ctx context.Context, size int64, chunks uint32, sum hash.Hash) error {
	about, err := json.Marshal(jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: u.object, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunk}},
		Bucket:     u.to.bucket, NUID: u.object, Size: uint64(size), Chunks: chunks, //nolint:gosec // not negative
		Digest: jetstream.GetObjectDigestValue(sum),
	})
	if err != nil {
		return err
	}
	if err := u.send(ctx, &nats.Msg{Subject: u.to.metaOf(u.object), Data: about, Header: nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}}}); err != nil {
		return err
	}
	return u.landed(ctx, 0)
}

// send sends a message, once there are few enough on their way.
func (u *upload) send(ctx context.Context, msg *nats.Msg) error {
	if err := u.landed(ctx, window-1); err != nil {
		return err
	}
	f, err := u.to.link.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return u.failed(ctx, err)
	}
	u.flying = append(u.flying, f)
	return nil
}

// landed waits until at most left messages are on their way.
func (u *upload) landed(ctx context.Context, left int) error {
	for len(u.flying) > left {
		late := time.NewTimer(chunkWait)
		var err error
		select {
		case <-u.flying[0].Ok():
		case err = <-u.flying[0].Err():
		case <-late.C:
			err = context.DeadlineExceeded
		case <-ctx.Done():
			err = ctx.Err()
		case <-u.to.link.ctx.Done():
			err = store.ErrClosed
		}
		late.Stop()
		if err != nil {
			return u.failed(ctx, err)
		}
		u.flying = u.flying[1:]
	}
	return nil
}

// failed is what the caller is told of an error of the cluster.
func (u *upload) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isFull(err):
		return fmt.Errorf("store large data: %w: the cluster says: %w", store.ErrFull, err)
	}
	return fmt.Errorf("store large data: %w", u.to.link.broken(err))
}

// discard deletes an object that the index does not name, or the chunks of one
// that was not described. What stays, because the cluster does not answer, is
// collected.
func (u *upload) discard() {
	ctx, cancel := context.WithTimeout(context.Background(), callWait)
	defer cancel()
	if err := u.to.purge(ctx, u.object); err != nil {
		u.to.link.log.Debug("an object that is not needed stays for a while", "error", err)
	}
}
