package cluster

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// An objectStore is that of the group, whose objects are as the clients of such stores have
// agreed on them.
type objectStore struct {
	link   *link
	bucket string
	kv     jetstream.ObjectStore
}

// errNoBlob is large data that the store does not have.
var errNoBlob = errors.New("the store does not have it")

// purge deletes an object, whether it is whole or not. Unlike the client's own
// Delete it leaves no message that says so.
func (o *objectStore) purge(ctx context.Context, object string) error {
	stream, err := o.link.js.Stream(ctx, "OBJ_"+o.bucket)
	if err != nil {
		return err
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(o.metaOf(object))); err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(o.chunksOf(object)))
}

// chunksOf and metaOf are the subjects of an object.
func (o *objectStore) chunksOf(object string) string { return "$O." + o.bucket + ".C." + object }

func (o *objectStore) metaOf(object string) string {
	return "$O." + o.bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(object))
}
