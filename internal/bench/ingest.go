package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/internal/web/front"
)

const (
	// postConnections is how many clients there are at a time.
	postConnections = 200
	// postLimit is how long one request may take.
	postLimit = 30 * time.Second
)

// ingestHTTP is how many requests a second a node with a store on disk answers, each
// of which sends one packet, and the p99 of their times in ms; and how many a server
// answers that has no node. The clients are in this process. The packets run through the chain's
// transform and extract.
func ingestHTTP(ctx context.Context, env Env) ([]Result, error) {
	c, closeStore, err := fedOnDisk(ctx, env)
	if err != nil {
		return nil, err
	}
	rate, p99, err := postAll(ctx, env, web.Handler(web.Config{Node: c.node}), &c.sent)
	if err := errors.Join(err, c.finish(ctx), closeStore()); err != nil {
		return nil, err
	}
	bare, _, err := postAll(ctx, env, http.HandlerFunc(discard), new(atomic.Int64))
	return []Result{{"ingest.http", "POST/s", rate}, {"ingest.http.p99", "ms", p99}, {"ingest.http.bare", "POST/s", bare}}, err
}

// discard is a handler without a node: it reads a packet and answers.
func discard(w http.ResponseWriter, r *http.Request) {
	if n, err := io.Copy(io.Discard, r.Body); err != nil || n != payloadSize {
		http.Error(w, "the packet is cut off", http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "{}")
}

// postAll serves a handler as pmk does and sends it packets from all clients. sent
// counts those that it has taken.
func postAll(ctx context.Context, env Env, handler http.Handler, sent *atomic.Int64) (rate, p99 float64, err error) {
	token := "bench"
	at, err := front.Open(front.Config{Address: "127.0.0.1:0", Handler: handler, Token: token})
	if err != nil {
		return 0, 0, err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- at.Run(serving) }()
	host := strings.TrimSuffix(strings.TrimPrefix(at.URL(front.Host), "http://"), "/")
	times, took, err := postFor(ctx, env.span(), host, postOf(host, token), sent)
	stop()
	if err := errors.Join(err, <-served); err != nil {
		return 0, 0, err
	}
	slices.Sort(times)
	return float64(len(times)) / took.Seconds(), times[(len(times)-1)*99/100].Seconds() * 1e3, nil
}

// postOf is the request that sends one packet of the chain.
func postOf(host, token string) []byte {
	return fmt.Appendf(nil, "POST /api/v1/states/%s/packets HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s",
		raw, host, token, payloadSize, payloads(1)[0])
}

// postFor has all clients send over span, after one request that makes the inbox and
// a quarter of span to warm up. It returns how long each request took, and all of them
// together.
func postFor(ctx context.Context, span time.Duration, host string, request []byte, sent *atomic.Int64) ([]time.Duration, time.Duration, error) {
	clients := make([]*poster, 0, postConnections)
	defer func() {
		for _, p := range clients {
			p.close()
		}
	}()
	for range postConnections {
		p, err := dialPoster(ctx, host, request)
		if err != nil {
			return nil, 0, err
		}
		clients = append(clients, p)
	}
	if err := clients[0].post(sent); err != nil {
		return nil, 0, err
	}
	from := time.Now().Add(span / 4)
	until := from.Add(span)
	group, groupCtx := errgroup.WithContext(ctx)
	for _, p := range clients {
		group.Go(func() error { return p.run(groupCtx, from, until, sent) })
	}
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	var times []time.Duration
	for _, p := range clients {
		times = append(times, p.times...)
	}
	return times, time.Since(from), ctx.Err()
}

// A poster is one client with a connection of its own. It writes the same bytes for
// every request, since it shares the CPUs with the node that is measured.
type poster struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
	times   []time.Duration
	close   func() error
}

// dialPoster connects a client until its close is called or ctx ends.
func dialPoster(ctx context.Context, host string, request []byte) (*poster, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	left := context.AfterFunc(ctx, func() { _ = conn.Close() }) // its requests fail
	return &poster{conn: conn, in: bufio.NewReader(conn), request: request, close: func() error {
		left()
		return conn.Close()
	}}, nil
}

// run sends one packet after the other, and keeps the times from that time on.
func (p *poster) run(ctx context.Context, from, until time.Time, sent *atomic.Int64) error {
	for ctx.Err() == nil {
		began := time.Now()
		if began.After(until) && len(p.times) > 0 { // each measures one, on a busy machine too
			return nil
		}
		if err := p.post(sent); err != nil {
			return err
		}
		if began.After(from) {
			p.times = append(p.times, time.Since(began))
		}
	}
	return ctx.Err()
}

// post sends one packet and counts it when the node has taken it.
func (p *poster) post(sent *atomic.Int64) error {
	if err := p.conn.SetDeadline(time.Now().Add(postLimit)); err != nil {
		return err
	}
	if _, err := p.conn.Write(p.request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // only read
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return fmt.Errorf("a packet was answered with %s: %s", resp.Status, why)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	sent.Add(1)
	return nil
}
