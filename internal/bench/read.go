package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/web"
)

// chainRead is chainNone while somebody reads the node's events, as its page does.
func chainRead(ctx context.Context, env Env) ([]Result, error) {
	c, err := startChain(ctx, env, transform(), flood, nil)
	if err != nil {
		return nil, err
	}
	stop, err := readEvents(ctx, c.node)
	if err != nil {
		return nil, errors.Join(err, c.finish(ctx))
	}
	rate, err := rateOf(ctx, &c.got, env.span())
	count, stopErr := stop()
	if err := errors.Join(err, stopErr, c.finish(ctx)); err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, errors.New("the reader of the events got nothing")
	}
	return []Result{{"chain.none.read", "packets/s", rate}}, nil
}

// readEvents reads the events of the node's network until stop, which gives how many
// bytes they had.
func readEvents(ctx context.Context, n *node.Node) (stop func() (int64, error), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, l, web.Handler(web.Config{Node: n})) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/api/v1/network/events", nil)
	if err != nil {
		cancel()
		return nil, errors.Join(err, <-served)
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the events begin with %s", resp.Status)
	}
	if err != nil {
		cancel()
		return nil, errors.Join(err, <-served)
	}
	var count int64
	read := make(chan struct{})
	go func() {
		defer close(read)
		count, _ = io.Copy(io.Discard, resp.Body) // it ends with stop
	}()
	return func() (int64, error) {
		cancel()
		<-read
		resp.Body.Close()
		return count, <-served
	}, nil
}
