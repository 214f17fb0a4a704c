// Package api is the HTTP API of a node as it goes over the wire: its values, and the client with
// which pmk, the other nodes and tests ask. It knows nothing of what answers, which is package
// web; openapi.json there describes the routes.
//
// Errors are problem documents (RFC 9457), see [Problem].
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Client speaks to one node. It is safe for concurrent use.
type Client struct {
	http http.Client
	base string // of the paths: this node's or the network's
}

// NewClient is a client that reaches its node through dial.
func NewClient(dial func(context.Context) (net.Conn, error)) *Client {
	return NewClientOver(&http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	})
}

// NewClientOver is a client of the node that the transport leads to.
func NewClientOver(transport http.RoundTripper) *Client {
	return &Client{http: http.Client{Transport: transport}, base: "/api/v1/"}
}

// Everywhere is the same client, whose Waiting, Retry and Drop mean the whole
// network that the node belongs to. It is closed with c.
func (c *Client) Everywhere() *Client { return &Client{http: c.http, base: c.base + "network/"} }

// Network asks what every node of the network does.
func (c *Client) Network(ctx context.Context) (Network, error) {
	return call[Network](ctx, c, request{path: "/api/v1/network"})
}

// Close lets go of the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Healthy asks whether the node is there; nil is that it is.
func (c *Client) Healthy(ctx context.Context) error {
	_, err := call[Health](ctx, c, request{path: "/healthz"})
	return err
}

// Status asks what the node does.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, request{path: "/api/v1/status"})
}

// An Ask says how much is asked for: at most so many packets, with at most so many bytes of the
// data of each; of a state perhaps only those that wait, not those in the inboxes of seeds.
type Ask struct {
	Limit, Bytes int
	Waiting      bool
	// Attributes are those that the packets are to have, in a list of a state.
	Attributes packet.Attributes
}

func (a Ask) query() string {
	q := "?limit=" + strconv.Itoa(a.Limit) + "&bytes=" + strconv.Itoa(a.Bytes)
	if a.Waiting {
		q += "&waiting=true"
	}
	for name, value := range a.Attributes {
		q += "&attr=" + url.QueryEscape(name+"="+value)
	}
	return q
}

// InState gives packets of a state that lie in stores.
func (c *Client) InState(ctx context.Context, state packet.State, ask Ask) (Packets, error) {
	return call[Packets](ctx, c, request{path: c.base + "states/" + url.PathEscape(string(state)) + "/packets" + ask.query()})
}

// EachInState gives packets of a state to visit, one after the other and however many: their data
// is never all in memory.
func (c *Client) EachInState(ctx context.Context, state packet.State, ask Ask, visit func(Packet) error) error {
	path := c.base + "states/" + url.PathEscape(string(state)) + "/packets" + ask.query()
	return c.each(ctx, request{path: path, header: http.Header{"Accept": {LinesType}}}, func(dec *json.Decoder) error {
		for {
			var p Packet
			if err := dec.Decode(&p); err == io.EOF {
				return nil
			} else if err != nil {
				return fmt.Errorf("the node's answer: %w", err)
			}
			if err := visit(p); err != nil {
				return err
			}
		}
	})
}

// Find gives the copies of one packet that lie in stores.
func (c *Client) Find(ctx context.Context, id packet.ID, ask Ask) (Packets, error) {
	return call[Packets](ctx, c, request{path: c.base + "packets/" + id.String() + ask.query()})
}

// Data is all of a packet's data and its size, -1 if that is not known. The caller closes it.
func (c *Client) Data(ctx context.Context, id packet.ID) (data io.ReadCloser, size int64, err error) {
	resp, err := c.ask(ctx, request{path: c.base + "packets/" + id.String() + "/data"})
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}

// Events gives what the node says of itself whenever that is new, until ctx ends or the node does,
// which is an error as well.
func (c *Client) Events(ctx context.Context, visit func(Status)) error {
	resp, err := c.ask(ctx, request{path: "/api/v1/events"})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return ReadEvents(resp.Body, func(event string, data []byte) error {
		var st Status
		if event != StatusEvent {
			return nil
		} else if err := json.Unmarshal(data, &st); err != nil {
			return err
		}
		visit(st)
		return nil
	})
}

// Send injects one packet whose data r gives, of that size in bytes, or -1
// if it is not known. While the node's store is full it waits. Its data is held in memory on
// neither side.
func (c *Client) Send(ctx context.Context, s Sending, r io.Reader, size int64) (Sent, error) {
	q := url.Values{}
	for name, value := range map[string]string{"id": known(s.ID), "stop": s.Stop, "goal": string(s.Goal), "follow": known(s.Follow)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if s.Track {
		q.Set("track", "true")
	}
	header := http.Header{"Content-Type": {RawType}, Prefer: {WaitLong}}
	if s.Traceparent != "" {
		header.Set("Traceparent", s.Traceparent)
	}
	WriteAttributes(header, s.Attributes)
	path := "/api/v1/states/" + url.PathEscape(string(s.State)) + "/packets?" + q.Encode()
	return call[Sent](ctx, c, request{http.MethodPost, path, header, r, size})
}

// known is an id as text, "" for none.
func known(id packet.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// Ledger asks what became of the packets that are followed under the id.
func (c *Client) Ledger(ctx context.Context, id packet.ID) (Ledger, error) {
	return call[Ledger](ctx, c, request{path: "/api/v1/ledgers/" + id.String()})
}

// Forget removes a ledger.
func (c *Client) Forget(ctx context.Context, id packet.ID) error {
	_, err := call[Ledger](ctx, c, request{method: http.MethodDelete, path: "/api/v1/ledgers/" + id.String()})
	return err
}

// Retry sends waiting packets on again and returns how many.
func (c *Client) Retry(ctx context.Context, sel Selection) (int, error) {
	return c.handle(ctx, c.base+"retry", sel)
}

// Drop ends waiting packets and returns how many.
func (c *Client) Drop(ctx context.Context, sel Selection) (int, error) {
	return c.handle(ctx, c.base+"drop", sel)
}

func (c *Client) handle(ctx context.Context, path string, sel Selection) (int, error) {
	body, err := json.Marshal(sel)
	if err != nil {
		return 0, err
	}
	handled, err := call[Handled](ctx, c, request{method: http.MethodPost, path: path, body: bytes.NewReader(body)})
	if problem, ok := err.(*Problem); ok {
		return problem.Taken, err
	}
	return handled.Count, err
}

// SendMany injects what next gives, until it returns io.EOF, and returns how many
// packets are in. Any other error of next ends the sending and is returned.
// What next gives is not kept. While the node's store is full it waits.
func (c *Client) SendMany(ctx context.Context, next func() (Sending, error)) (taken int, err error) {
	r, w := io.Pipe()
	var source error // of next; read after the call has returned
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := new(bytes.Buffer)
		enc := json.NewEncoder(buf)
		for {
			sending, err := next()
			if err != nil {
				if err != io.EOF {
					source = err
				}
				break
			}
			if sending.Data == nil {
				sending.Data = []byte{} // none is not empty
			}
			if err := enc.Encode(sending); err != nil {
				source = err
				break
			}
			if _, err := w.Write(buf.Bytes()); err != nil {
				return // the node has answered already: its error says why
			}
			buf.Reset()
		}
		w.Close()
	}()
	header := http.Header{"Content-Type": {LinesType}, Prefer: {WaitLong}}
	receipt, err := call[Receipt](ctx, c, request{http.MethodPost, "/api/v1/packets", header, r, -1})
	r.Close()
	if problem, ok := err.(*Problem); ok {
		return problem.Taken, err
	}
	if err != nil {
		return 0, err
	}
	<-ended
	return receipt.Taken, source
}

// Trace asks for the family of the packet or the ship that has the id, or of
// which it is the begin.
func (c *Client) Trace(ctx context.Context, id string) (trace.Trace, error) {
	return call[trace.Trace](ctx, c, request{path: "/api/v1/trace/" + url.PathEscape(id)})
}

// Share asks what the one node knows of the id.
func (c *Client) Share(ctx context.Context, id trace.Prefix, stored bool) (trace.Share, error) {
	path := "/api/v1/trace/" + id.String() + "/share"
	if !stored {
		path += "?stored=no"
	}
	return call[trace.Share](ctx, c, request{path: path})
}

// Turn has a seed take no more packets, if the verb is "pause", or take them again, if it is
// "resume", and gives the nodes on which. An empty node is all that the client means.
func (c *Client) Turn(ctx context.Context, name seed.Name, verb, node string) ([]string, error) {
	path := c.base + "seeds/" + url.PathEscape(string(name)) + "/" + verb
	if node != "" {
		path += "?node=" + url.QueryEscape(node)
	}
	done, err := call[Paused](ctx, c, request{method: http.MethodPost, path: path})
	return done.Nodes, err
}

// ForgetSeeds ends what is kept for a seed that is away, or for all seeds of a node that is.
func (c *Client) ForgetSeeds(ctx context.Context, name string) (Forgotten, error) {
	return call[Forgotten](ctx, c, request{method: http.MethodPost, path: c.base + "forget/" + url.PathEscape(name)})
}

// Backup has the node copy what it has stored into a folder of its machine. visit is
// called as it goes on.
func (c *Client) Backup(ctx context.Context, dir string, visit func(BackupState)) (last BackupState, err error) {
	body, err := json.Marshal(BackupOrder{Dir: dir})
	if err != nil {
		return last, err
	}
	err = c.each(ctx, request{method: http.MethodPost, path: "/api/v1/backup", body: bytes.NewReader(body)}, func(dec *json.Decoder) error {
		for {
			last = BackupState{}
			if err := dec.Decode(&last); err == io.EOF {
				return errors.New("the node has ended before the backup did")
			} else if err != nil {
				return fmt.Errorf("the node's answer: %w", err)
			}
			switch {
			case last.Error != "":
				return errors.New(last.Error)
			case last.Done:
				return nil
			}
			visit(last)
		}
	})
	return last, err
}

// A request is what is asked of a node.
type request struct {
	method string // "" is GET
	path   string
	header http.Header
	body   io.Reader
	size   int64 // of body; 0 is what body says, -1 not known
}

// call is the one value of an answer.
func call[T any](ctx context.Context, c *Client, r request) (value T, err error) {
	err = c.each(ctx, r, func(dec *json.Decoder) error {
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("the node's answer: %w", err)
		}
		return nil
	})
	return value, err
}

// each gives the answer to read.
func (c *Client) each(ctx context.Context, r request, read func(*json.Decoder) error) error {
	resp, err := c.ask(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return read(json.NewDecoder(resp.Body))
}

// ask is the answer, whose body the caller closes; what is none is a [*Problem].
func (c *Client) ask(ctx context.Context, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, "http://node"+r.path, r.body)
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header
	}
	if r.size != 0 {
		req.ContentLength = r.size
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// What a url.Error adds is where all requests go, and a query that nobody can read.
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err
		}
		return nil, fmt.Errorf("asking the node: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	problem := &Problem{Status: resp.StatusCode}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), ProblemType) || json.NewDecoder(resp.Body).Decode(problem) != nil {
		problem.Detail = "the node answered " + resp.Status
	}
	return nil, problem
}
