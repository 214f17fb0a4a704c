package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/testenv"
)

// servers is a NATS cluster of this process.
type servers struct {
	t    testing.TB
	opts []*server.Options
	all  []*server.Server
}

// startServers starts so many servers that make one cluster; adjust, unless
// nil, changes how.
func startServers(t testing.TB, n int, adjust func(*server.Options)) *servers {
	t.Helper()
	c := &servers{t: t}
	var routes []*url.URL
	var ports []int
	for range n {
		port := testenv.FreePort(t)
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	for i := range n {
		opts := &server.Options{
			ServerName: fmt.Sprintf("server-%d", i),
			Host:       "127.0.0.1", Port: server.RANDOM_PORT,
			NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(),
		}
		if n > 1 {
			opts.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}
			opts.Routes = routes
		}
		if adjust != nil {
			adjust(opts)
		}
		c.opts = append(c.opts, opts)
		c.all = append(c.all, nil)
	}
	t.Cleanup(func() {
		for i := range c.all {
			c.kill(i)
		}
	})
	for i := range c.all {
		c.start(i)
	}
	c.ready(n)
	return c
}

func (c *servers) start(i int) {
	c.t.Helper()
	s, err := server.NewServer(c.opts[i].Clone())
	if err != nil {
		c.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		c.t.Fatalf("server %d is not ready", i)
	}
	// It keeps its port when it is started again.
	c.opts[i].Port = s.Addr().(*net.TCPAddr).Port
	c.all[i] = s
}

// kill ends a server at once; what it stored stays.
func (c *servers) kill(i int) {
	if s := c.all[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.all[i] = nil
	}
}

// ready waits until the cluster has a leader and that many servers follow.
func (c *servers) ready(n int) {
	c.t.Helper()
	if n < 2 {
		return
	}
	testenv.Eventually(c.t, 30*time.Second, "the cluster has a leader that knows all servers", func() bool {
		for _, s := range c.all {
			if s != nil && s.JetStreamIsLeader() {
				return len(s.JetStreamClusterPeers()) == len(c.all) && s.NumRoutes() > 0
			}
		}
		return false
	})
}

// urls are the addresses of all servers.
func (c *servers) urls() []string {
	var all []string
	for _, o := range c.opts {
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return all
}

func (c *servers) url() string { return strings.Join(c.urls(), ",") }

// subjectsOf counts a stream's messages by subject.
func subjectsOf(t testing.TB, stream jetstream.Stream, filter string) map[string]uint64 {
	t.Helper()
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Subjects
}

// A step of opening whose request was lost is done again, and ends with the
// opening all the same.
func TestOpeningAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{}
		s.ctx = t.Context()
		asked := 0
		lost := func(n int) func(context.Context) error {
			asked = 0
			return func(ctx context.Context) error {
				if asked++; asked > n {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}
		}
		if err := s.answered(t.Context(), lost(2)); err != nil || asked != 3 {
			t.Errorf("after %d requests: %v", asked, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), openWait)
		defer cancel()
		if err := s.answered(ctx, lost(1000)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a cluster that never answers ends with %v", err)
		}
	})
}
