package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/recap/pumpkin/internal/node"
)

// A Client speaks to one node. It is safe for concurrent use.
type Client struct{ http http.Client }

// NewClient is a client that reaches its node through dial.
func NewClient(dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}
}

// Close lets go of the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks what the node does.
func (c *Client) Status(ctx context.Context) (node.Status, error) {
	var st node.Status
	return st, c.call(ctx, http.MethodGet, "/api/v1/status", nil, &st)
}

// Send injects what next gives, until it returns io.EOF, and returns how many
// packets are in. Any other error of next ends the sending and is returned.
// What next gives is not kept.
func (c *Client) Send(ctx context.Context, next func() (Parcel, error)) (taken int, err error) {
	r, w := io.Pipe()
	var source error // of next; read after the call has returned
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := new(bytes.Buffer)
		enc := json.NewEncoder(buf)
		for {
			parcel, err := next()
			if err != nil {
				if err != io.EOF {
					source = err
				}
				break
			}
			if err := enc.Encode(parcel); err != nil {
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
	var receipt Receipt
	err = c.call(ctx, http.MethodPost, "/api/v1/packets", r, &receipt)
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

func (c *Client) call(ctx context.Context, method, path string, body io.Reader, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the node: %w", err)
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	if resp.StatusCode != http.StatusOK {
		problem := &Problem{Status: resp.StatusCode}
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") || dec.Decode(problem) != nil {
			problem.Detail = "the node answered " + resp.Status
		}
		return problem
	}
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("the node's answer: %w", err)
	}
	return nil
}
