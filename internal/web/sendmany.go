package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// sendMany takes packets, or one.
func sendMany(w http.ResponseWriter, r *http.Request, n *node.Node) {
	kind := kindOf(r)
	one := kind == api.PacketType || kind == jsonType
	if !one && kind != api.LinesType {
		refuse(w, http.StatusUnsupportedMediaType, 0, fmt.Errorf("a body of the type %q; expected one packet as %s, or many, one a line, as %s; a body of any type that is the data goes to /api/v1/states/STATE/packets", kind, api.PacketType, api.LinesType))
		return
	}
	ctx, end := taking(r, n)
	defer end()
	taken, err := inject(ctx, n, r.Body, one, traceparent(r))
	if err = heldBack(ctx, err); err != nil {
		if !one && errors.As(err, new(*heldError)) {
			err = fmt.Errorf("%w; the first %d packets are taken, of those after them some may be: send them again with an id each, and none is taken twice", err, taken)
		}
		notTaken(w, taken, err)
		return
	}
	reply(w, http.StatusOK, jsonType, api.Receipt{Taken: taken})
}

// maxUnsafe is how many packets of a request may be on their way to the store: of those
// before it is known that they are there.
const maxUnsafe = 1024

// inject takes packets until the end of body, and returns how many of the first are
// as safe as the node makes them. If that is not all that were put, the error says so.
func inject(ctx context.Context, n *node.Node, body io.Reader, one bool, traceparent string) (taken int, err error) {
	in := n.Intake()
	from := &bodyReader{Reader: body}
	put := 0
	err = eachSending(from, n.MaxData(), one, traceparent, func(p packet.Packet) error {
		if err := in.Put(ctx, p); err != nil {
			return err
		}
		if put++; put-taken < maxUnsafe {
			return nil
		}
		err := in.Flush(ctx)
		if err == nil {
			taken = put
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("packet %d: %w", put+1, err)
	}
	ctx, gone := context.WithCancel(ctx)
	defer gone()
	if from.err != nil {
		gone() // nobody waits for an answer: what is not stored yet is not sent
	}
	if unsafe := in.Flush(ctx); unsafe != nil {
		return taken, errors.Join(err, unsafe)
	}
	return put, err
}

// A bodyReader remembers why it could not be read to its end.
type bodyReader struct {
	io.Reader
	err error
}

func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// eachSending gives the packets in body to visit, until its end or an error; where one is expected,
// nothing may follow it.
func eachSending(body io.Reader, maxData int64, one bool, traceparent string, visit func(packet.Packet) error) error {
	// A packet is decoded whole: its data in base64, and what else it says.
	most := maxData/3*4 + sendingHead
	limited := &io.LimitedReader{R: body, N: most}
	dec := json.NewDecoder(limited)
	dec.DisallowUnknownFields()
	for {
		limited.N = most
		var s api.Sending
		if err := dec.Decode(&s); err == io.EOF && !one {
			return nil
		} else if err != nil && limited.N <= 0 {
			return fmt.Errorf("%w: at most %d bytes are allowed (--max-packet)", store.ErrTooLarge, maxData)
		} else if err != nil {
			return err
		}
		if one {
			if err := ended(dec); err != nil {
				return err
			}
		}
		s.Traceparent = cmp.Or(s.Traceparent, traceparent)
		p, err := packetFrom(s)
		if err == nil {
			p.Data, err = contentOf(s.Text, s.Data)
		}
		if err == nil {
			err = visit(p)
		}
		if err != nil || one {
			return err
		}
	}
}

// packetFrom is the packet without its data.
func packetFrom(s api.Sending) (packet.Packet, error) {
	p := packet.Packet{ID: s.ID, State: s.State}
	if _, err := packet.ParseState(string(p.State)); err != nil {
		return p, err
	}
	if s.Goal != "" {
		if _, err := packet.ParseState(string(s.Goal)); err != nil {
			return p, fmt.Errorf("goal: %w", err)
		}
	}
	if s.Stop != "" {
		if err := packet.CheckName("stop", s.Stop); err != nil {
			return p, err
		}
	}
	if len(s.Attributes) > 0 {
		if err := s.Attributes.Check(); err != nil {
			return p, err
		}
		p.Extra = &packet.Extra{Attributes: s.Attributes}
	}
	wish := packet.Wish{Stop: s.Stop, Goal: s.Goal, Track: s.Track, Follow: s.Follow}
	if s.Traceparent != "" {
		place, err := packet.ParseTraceparent(s.Traceparent)
		if err != nil {
			return p, err
		}
		wish.Trace = place
	}
	if wish != (packet.Wish{}) {
		p.Wish = &wish
	}
	return p, nil
}

// traceparent is what a request says of the trace that it belongs to. One that
// is not in order counts as none, as the W3C asks.
func traceparent(r *http.Request) string {
	place, err := packet.ParseTraceparent(r.Header.Get("Traceparent"))
	if err != nil {
		return ""
	}
	return place.String()
}
