package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// sendMany takes packets, or one.
func sendMany(w http.ResponseWriter, r *http.Request, n *node.Node) {
	ctx, end := taking(r, n)
	defer end()
	var taken int
	var err error
	switch kind := kindOf(r); kind {
	case api.RawType:
		taken, err = injectRaw(ctx, r, n)
	case api.LinesType:
		taken, err = inject(ctx, n, r.Body, traceparent(r))
	case api.PacketType, jsonType:
		taken, err = injectOne(ctx, w, r, n)
	default:
		refuse(w, http.StatusUnsupportedMediaType, 0, fmt.Errorf("a body of the type %q; expected one packet as %s, or many, one a line, as %s; a body of any type that is the data goes to /api/v1/states/STATE/packets", kind, api.PacketType, api.LinesType))
		return
	}
	if err = heldBack(ctx, err); err != nil {
		if kindOf(r) == api.LinesType && errors.As(err, new(*heldError)) {
			err = fmt.Errorf("%w; the first %d packets are taken, of those after them some may be: send them again with an id each, and none is taken twice", err, taken)
		}
		notTaken(w, taken, err)
		return
	}
	reply(w, http.StatusOK, jsonType, api.Receipt{Taken: taken})
}

// injectRaw takes one packet whose data is the body.
func injectRaw(ctx context.Context, r *http.Request, n *node.Node) (taken int, err error) {
	var parcel api.Parcel
	if err := readOne(strings.NewReader(r.URL.Query().Get("parcel")), &parcel); err != nil {
		return 0, fmt.Errorf("the query's parcel: %w; a body that is the data of any packet goes to /api/v1/states/STATE/packets", err)
	}
	if parcel.Text != nil || parcel.Data != nil {
		return 0, errors.New("the query's parcel has data, and so has the body; expected it there")
	}
	return injectFrom(ctx, r, n, parcel, r.Body, r.ContentLength)
}

// injectOne takes one packet in JSON.
func injectOne(ctx context.Context, w http.ResponseWriter, r *http.Request, n *node.Node) (taken int, err error) {
	var parcel api.Parcel
	if err := readOne(http.MaxBytesReader(w, r.Body, n.MaxData()/3*4+parcelHead), &parcel); err != nil {
		return 0, fmt.Errorf("the packet: %w", err)
	}
	text, err := contentOf(parcel.Text, parcel.Data)
	if err != nil {
		return 0, err
	}
	return injectFrom(ctx, r, n, parcel, strings.NewReader(text), int64(len(text)))
}

func injectFrom(ctx context.Context, r *http.Request, n *node.Node, parcel api.Parcel, data io.Reader, size int64) (taken int, err error) {
	parcel.Traceparent = cmp.Or(parcel.Traceparent, traceparent(r))
	p, err := packetFrom(parcel)
	if err != nil {
		return 0, err
	}
	if err := n.InjectData(ctx, p, data, size); err != nil {
		return 0, err
	}
	return 1, nil
}

// maxUnsafe is how many packets of a request may be on their way to the store: of those
// before it is known that they are there.
const maxUnsafe = 1024

// inject takes packets until the end of body, and returns how many of the first are
// as safe as the node makes them. If that is not all that were put, the error says so.
func inject(ctx context.Context, n *node.Node, body io.Reader, traceparent string) (taken int, err error) {
	in := n.Intake()
	from := &bodyReader{Reader: body}
	put := 0
	err = eachParcel(from, n.MaxData(), traceparent, func(p packet.Packet) error {
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

// eachParcel gives the packets in body to take, until its end or an error.
func eachParcel(body io.Reader, maxData int64, traceparent string, take func(packet.Packet) error) error {
	// A parcel is decoded whole: its data in base64, and what else it says.
	most := maxData/3*4 + parcelHead
	limited := &io.LimitedReader{R: body, N: most}
	dec := json.NewDecoder(limited)
	dec.DisallowUnknownFields()
	for {
		limited.N = most
		var parcel api.Parcel
		if err := dec.Decode(&parcel); err == io.EOF {
			return nil
		} else if err != nil && limited.N <= 0 {
			return fmt.Errorf("%w: at most %d bytes are allowed (--max-packet)", store.ErrTooLarge, maxData)
		} else if err != nil {
			return err
		}
		parcel.Traceparent = cmp.Or(parcel.Traceparent, traceparent)
		p, err := packetFrom(parcel)
		if err == nil {
			p.Data, err = contentOf(parcel.Text, parcel.Data)
		}
		if err == nil {
			err = take(p)
		}
		if err != nil {
			return err
		}
	}
}

// packetFrom is the packet without its data.
func packetFrom(parcel api.Parcel) (packet.Packet, error) {
	p := packet.Packet{ID: parcel.ID, State: parcel.State}
	if _, err := packet.ParseState(string(p.State)); err != nil {
		return p, err
	}
	if parcel.Goal != "" {
		if _, err := packet.ParseState(string(parcel.Goal)); err != nil {
			return p, fmt.Errorf("goal: %w", err)
		}
	}
	if parcel.Stop != "" {
		if err := packet.CheckName("stop", parcel.Stop); err != nil {
			return p, err
		}
	}
	wish := packet.Wish{Stop: parcel.Stop, Goal: parcel.Goal, Track: parcel.Track, Follow: parcel.Follow}
	if parcel.Traceparent != "" {
		place, err := packet.ParseTraceparent(parcel.Traceparent)
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
