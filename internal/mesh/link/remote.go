package link

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// A remote is the store of a peer.
type remote struct{ peer *Peer }

// Pull leases frames of the peer.
func (r remote) Pull(ctx context.Context, from store.Queue, most int) ([]store.Lease, error) {
	leases, err := r.peer.pull.pull(ctx, from, most)
	if err != nil {
		return nil, fmt.Errorf("pull from %s of node %s: %w", from, r.peer.hello.Node, err)
	}
	return leases, nil
}

// Append puts a frame into the store of the peer.
func (r remote) Append(ctx context.Context, to store.Queue, f store.Frame) error {
	what := fmt.Sprintf("append to %s of node %s", to, r.peer.hello.Node)
	if err := (&store.Tx{Append: []store.Append{{To: to, Frame: f}}}).Check(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	query := url.Values{"place": {string(to)}, "packets": {strconv.Itoa(f.Packets)}, "rank": {rankText(f.Rank)}}
	return r.send(r.peer.request(ctx, http.MethodPost, current+"append", query), bytes.NewReader(f.Data), int64(len(f.Data)), what)
}

// send sends a request with a body that is not kept.
func (r remote) send(req *http.Request, body io.Reader, size int64, what string) error {
	l := &lent{r: body}
	defer l.end()
	req.Body, req.ContentLength = l, size
	if size == 0 {
		req.Body = http.NoBody
	}
	resp, err := r.peer.do(req, what)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (r remote) blob(ctx context.Context, method string, b packet.Blob) *http.Request {
	return r.peer.request(ctx, method, current+"blobs/"+hex.EncodeToString(b.Sum[:]), url.Values{"size": {strconv.FormatInt(b.Size, 10)}})
}

// OpenBlob reads large data of the peer, until ctx ends.
func (r remote) OpenBlob(ctx context.Context, b packet.Blob) (io.ReadCloser, error) {
	what := fmt.Sprintf("read %x of node %s", b.Sum[:8], r.peer.hello.Node)
	resp, err := r.peer.do(r.blob(ctx, http.MethodGet, b), what)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength != b.Size {
		resp.Body.Close() // it is not what was asked for
		return nil, fmt.Errorf("%s: it has %d bytes; expected %d", what, resp.ContentLength, b.Size)
	}
	return &blobReader{ReadCloser: resp.Body, peer: r.peer, ctx: ctx, what: what}, nil
}

// A blobReader says of its errors what they mean.
type blobReader struct {
	io.ReadCloser
	peer *Peer
	ctx  context.Context
	what string
}

func (b *blobReader) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.peer.heard()
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", b.what, b.peer.reason(b.ctx, err))
	}
	return n, err
}

// PutBlob puts large data there.
func (r remote) PutBlob(ctx context.Context, b packet.Blob, data io.Reader) error {
	return r.send(r.blob(ctx, http.MethodPut, b), data, b.Size, fmt.Sprintf("write %x to node %s", b.Sum[:8], r.peer.hello.Node))
}

// DropBlob lets go of large data.
func (r remote) DropBlob(ctx context.Context, b packet.Blob) error {
	return r.send(r.blob(ctx, http.MethodDelete, b), nil, 0, fmt.Sprintf("let go of %x of node %s", b.Sum[:8], r.peer.hello.Node))
}

var _ mesh.Store = remote{}
