package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// download writes an object into a file and checks it.
func (o *objectStore) download(ctx context.Context, name string, blob packet.Blob, file *os.File) error {
	// As long as something comes, it may take as long as it takes.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(chunkWait, func() { cancel(context.DeadlineExceeded) })
	defer idle.Stop()
	object, err := o.kv.Get(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return errNoBlob
	}
	if err != nil {
		return o.link.unanswered(ctx, err)
	}
	defer object.Close() // only read
	_, err = io.Copy(file, packet.Verify(blob, &alive{object, idle}))
	switch {
	case err == nil, errors.Is(err, packet.ErrDamagedBlob):
		return err
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return fmt.Errorf("%w: the cluster gave nothing more of it for %v", store.ErrBroken, chunkWait)
	}
	return err
}

// alive puts off the end of a download whenever something came.
type alive struct {
	r    io.Reader
	idle *time.Timer
}

func (a *alive) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if n > 0 {
		a.idle.Reset(chunkWait)
	}
	return n, err
}
