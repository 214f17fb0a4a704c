package cluster

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
)

// Every node of a single server says that it has one copy.
func TestReplicasOfOne(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	for i := range 3 {
		s := openOn(t, c, "one", nil)
		want := store.Promise{Kill: true, Replicas: 1}
		if p := s.Promise(); p != want {
			t.Errorf("node %d promises %+v; expected %+v", i, p, want)
		}
		if err := appendTo(t.Context(), s, greet, store.Frame{Data: []byte("x"), Packets: 1}); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, 10*time.Second, "the node learns that more is not to be had", func() bool { return s.wanted.Load() == 1 })
		if p := s.Promise(); p != want {
			t.Errorf("node %d promises %+v after a while; expected %+v", i, p, want)
		}
	}
}

// What counts is the stream with the fewest; it gets what it lacks.
func TestReplicasOfThree(t *testing.T) {
	t.Parallel()
	c := startServers(t, 3, nil)
	one := openOn(t, c, "three", nil)
	want := store.Promise{Kill: true, PowerLoss: true, Replicas: 3}
	if p := one.Promise(); p != want {
		t.Errorf("the first node promises %+v; expected %+v", p, want)
	}
	nc, err := nats.Connect(c.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := one.streamConfig(one.queue(greet), 1)
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	two := openOn(t, c, "three", nil)
	if p := two.Promise(); p.Replicas == 3 {
		stream, err := js.Stream(t.Context(), cfg.Name)
		if err != nil {
			t.Fatal(err)
		}
		if n := stream.CachedInfo().Config.Replicas; n != 3 { // else the first node was faster
			t.Errorf("a node promises %+v, and a stream has %d replicas", p, n)
		}
	}
	testenv.Eventually(t, 30*time.Second, "the stream has what it lacked", func() bool {
		stream, err := js.Stream(t.Context(), cfg.Name)
		return err == nil && stream.CachedInfo().Config.Replicas == 3 && one.Promise() == want && two.Promise() == want
	})
}
