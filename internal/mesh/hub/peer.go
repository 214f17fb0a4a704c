package hub

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/packet"
)

// A peer is another node of the group.
type peer struct {
	hub  *Hub
	boot packet.ID
	card atomic.Pointer[mesh.Card]
	ctx  context.Context // ends when it is gone
	end  context.CancelFunc

	// Of the goroutine that gathers.
	said     []byte
	seen     time.Time
	revision uint64
	judged   time.Time
}

var _ mesh.Peer = (*peer)(nil)

func newPeer(h *Hub, boot packet.ID) *peer {
	ctx, end := context.WithCancel(context.Background())
	return &peer{hub: h, boot: boot, ctx: ctx, end: end}
}

// Card is what the node has said last.
func (p *peer) Card() mesh.Card { return *p.card.Load() }

// At is the cluster's server that this node is connected to: the way to all.
func (p *peer) At() string {
	if at := p.hub.cfg.Conn.ConnectedAddr(); at != "" {
		return "nats://" + at
	}
	return "the cluster, which cannot be reached now"
}

// Store is nil: all nodes have one store.
func (p *peer) Store() mesh.Store { return nil }

// Gone is closed when the node is gone.
func (p *peer) Gone() <-chan struct{} { return p.ctx.Done() }

const (
	// maxAnswer bounds a response with its header; it comes in parts of at
	// most partSize.
	maxAnswer = 8<<20 + 64<<10
	partSize  = 256 << 10
	// askTime is how long a request may take whose context has no end, and
	// maxAskTime how long any may.
	askTime    = 30 * time.Second
	maxAskTime = 5 * time.Minute

	headerWithin = "Pmk-Within" // how many milliseconds the asker waits
	headerPart   = "Pmk-Part"   // which part, from 1, of how many
	headerError  = "Pmk-Error"  // why there is no answer
)

// RoundTrip asks the node's HTTP interface over the cluster. Request and
// response are written as in HTTP/1.1 and held in memory: a request is one
// message and has to fit into what the cluster takes as such (max_payload, 1 MiB
// unless it was changed), a response comes in parts and has at most 8 MiB. What
// streams arrives when it is complete.
func (p *peer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close() // as every RoundTripper does
	}
	resp, err := p.ask(req)
	switch {
	case err == nil:
		return resp, nil
	case req.Context().Err() != nil:
		err = req.Context().Err()
	case p.ctx.Err() != nil, errors.Is(err, nats.ErrNoResponders):
		err = mesh.ErrGone
	}
	return nil, fmt.Errorf("ask node %s: %w", p.Card().Node, err)
}

func (p *peer) ask(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), maxAskTime)
	if _, ends := req.Context().Deadline(); !ends {
		cancel()
		ctx, cancel = context.WithTimeout(req.Context(), askTime)
	}
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	conn := p.hub.cfg.Conn
	wire, err := p.write(ctx, req)
	if err != nil {
		return nil, err
	}
	sub, err := conn.SubscribeSync(conn.NewInbox())
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails when the connection is closed, which does as well
	msg := nats.NewMsg(p.hub.subject(p.boot, "http"))
	msg.Reply, msg.Data = sub.Subject, wire
	end, _ := ctx.Deadline()
	msg.Header.Set(headerWithin, strconv.FormatInt(time.Until(end).Milliseconds(), 10))
	if err := conn.PublishMsg(msg); err != nil {
		return nil, err
	}
	data, err := gatherParts(ctx, sub)
	if err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), req)
}

// write is the request as it goes over the wire.
func (p *peer) write(ctx context.Context, req *http.Request) ([]byte, error) {
	most := p.hub.cfg.Conn.MaxPayload() - 1<<10 // for the message's own header
	there := req.Clone(ctx)
	there.URL.Scheme, there.URL.Host, there.Host = "http", "node", ""
	if req.Body != nil {
		body, err := io.ReadAll(io.LimitReader(req.Body, most+1))
		if err != nil {
			return nil, fmt.Errorf("read the request: %w", err)
		}
		there.Body, there.ContentLength, there.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}
	var wire bytes.Buffer
	if err := there.Write(&wire); err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	if int64(wire.Len()) > most {
		return nil, fmt.Errorf("the request has more than the %d bytes that the cluster takes at once: raise max_payload of its servers, or send less", most)
	}
	return wire.Bytes(), nil
}

// gatherParts puts the parts of an answer together. All come from one sender on
// one subject, so they come in order.
func gatherParts(ctx context.Context, sub *nats.Subscription) ([]byte, error) {
	var data []byte
	for part := 1; ; part++ {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		if msg.Header.Get("Status") == "503" && len(msg.Data) == 0 {
			return nil, nats.ErrNoResponders
		}
		if why := msg.Header.Get(headerError); why != "" {
			return nil, errors.New(why)
		}
		var got, of int
		if _, err := fmt.Sscanf(msg.Header.Get(headerPart), "%d/%d", &got, &of); err != nil || got != part || of < got {
			return nil, fmt.Errorf("part %d of the answer says that it is %q: some of it was lost", part, msg.Header.Get(headerPart))
		}
		if len(data)+len(msg.Data) > maxAnswer {
			return nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
		}
		data = append(data, msg.Data...)
		if got == of {
			return data, nil
		}
	}
}
