package worker

import (
	"bytes"
	"context"
	"io"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
)

// An output is the data of one output: a text, or a blob that is held for it.
type output struct {
	text   string
	blob   *packet.Blob
	failed error // why the blob could not be kept
}

// readOutputs reads the data of a frame's outputs. Each has memory of its own,
// which grows as it comes: what a worker announces costs nothing, and an output
// that is kept keeps no other. Large ones go by without being held in memory
// where there are blobs. One that is too large is read over.
func (r *run) readOutputs(ctx context.Context) error {
	for _, e := range r.reply.Emit {
		var out output
		var err error
		switch {
		case e.Size > r.env.MaxData:
			_, err = io.CopyN(io.Discard, r.from, e.Size)
		case e.Size > runner.LargeData && r.env.Blobs != nil:
			out, err = r.readBlob(ctx, e.Size)
		case e.Size <= smallFrame:
			if int64(cap(r.small)) < e.Size {
				r.small = make([]byte, smallFrame)
			}
			_, err = io.ReadFull(r.from, r.small[:e.Size])
			out.text = string(r.small[:e.Size])
		default:
			var buf bytes.Buffer
			_, err = io.CopyN(&buf, r.from, e.Size)
			out.text = buf.String()
		}
		if err != nil {
			return err
		}
		r.data = append(r.data, out)
	}
	return nil
}

// readBlob puts the next n bytes aside. When the disk does not take them they
// are read over, and the output says why it failed.
func (r *run) readBlob(ctx context.Context, n int64) (output, error) {
	rest := &io.LimitedReader{R: r.from, N: n}
	b, err := r.env.Blobs.Put(ctx, rest, n)
	if err == nil && b.Size < n {
		r.env.Blobs.Drop(b.Sum) // what stays is removed at the next start
		return output{}, io.ErrUnexpectedEOF
	}
	if err == nil {
		return output{blob: &b}, nil
	}
	if _, broken := io.Copy(io.Discard, rest); broken != nil {
		return output{}, broken
	}
	if rest.N > 0 {
		return output{}, io.ErrUnexpectedEOF
	}
	return output{failed: err}, nil
}

// dropOutputs lets go of the outputs of a frame that were not given on.
func (r *run) dropOutputs() {
	for _, out := range r.data {
		if out.blob != nil {
			r.env.Blobs.Drop(out.blob.Sum) // what stays is removed at the next start
		}
	}
	clear(r.data)
	r.data = r.data[:0]
}

// writeData writes the data of p.
func (c *child) writeData(w io.Writer, p *packet.Packet) error {
	if p.Blob == nil {
		_, err := io.WriteString(w, p.Data)
		return err
	}
	file, err := c.env.Blobs.Open(*p.Blob)
	if err != nil {
		return err
	}
	defer file.Close() // only read
	_, err = io.Copy(w, packet.Verify(*p.Blob, file))
	return err
}
