// Package hub finds the nodes of a group through the NATS cluster that is the
// one store of all of them.
//
// Each node keeps its card in a key-value bucket of the group, under its name,
// and writes it anew every two seconds; all watch the bucket. Three things end a
// node for the others:
//
//   - it leaves, which removes its card: known at once;
//   - its process dies, which ends its connection and with it what it listens
//     to: the cluster answers a ping in its place that nobody is there, and
//     after three such answers, within about a second, it is gone. In a group
//     of more than [pingsAtOnce] others it is found by whoever pings it first;
//   - its card was not renewed for eight seconds: the machine or the way to it
//     died without a word.
//
// A node pings at most [pingsAtOnce] others in a round, in turn, and tells all of
// one that is gone; they ask for themselves before they believe it. So what
// pings cost a node does not grow with the group.
//
// The first node of a name keeps it. Another boot under that name is told to
// choose another, unless the first is gone.
//
// What nodes ask of each other's HTTP interface are requests over the cluster
// too, see [peer.RoundTrip].
package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/packet"
)

const (
	// renewEvery is how often a node writes its card, and lapse how long one
	// counts.
	renewEvery = 2 * time.Second
	lapse      = 8 * time.Second
	// deaf is how long a watch may be without this node's own card before
	// another one is begun.
	deaf = 3 * renewEvery
	// callTime bounds one request to the cluster.
	callTime = 4 * time.Second
	// joinTime bounds what joining waits for an answer of the cluster.
	joinTime = 30 * time.Second
	// maxNodes bounds how many nodes are met.
	maxNodes = 4096
	// maxGroup is the longest name of a group.
	maxGroup = 40
)

// ErrTaken is a name that another living node has.
var ErrTaken = errors.New("another node of this group has the name")

// Config says what a hub is made of.
type Config struct {
	// Conn is a connection to the cluster; it stays the caller's, who closes it
	// after Run has returned.
	Conn *nats.Conn
	// Group is the name space of the node. Empty means "default".
	Group string
	Host  mesh.Host
	// API answers what other nodes ask over HTTP; nil answers nothing.
	API http.Handler
	// Replicas is how many servers keep the cards. 0 means 3, or as many as
	// the cluster has.
	Replicas int
	Log      *slog.Logger // nil means slog.Default
}

// A Hub is a node's place among the others. It is safe for concurrent use.
type Hub struct {
	cfg   Config
	log   *slog.Logger
	name  string
	boot  packet.ID
	cards jetstream.KeyValue
	desk  *desk
	subs  []*nats.Subscription

	// Of the goroutine that writes the card alone.
	revision uint64

	suspects chan packet.ID // that others say are gone
	dead     chan *peer     // found by pings
	targets  chan []*peer   // whom to ping; the last word counts
	ran      sync.Once
}

// Join takes the node's name in its group. The error is [ErrTaken] when a node
// that lives has it. What was joined ends with [Hub.Run].
func Join(ctx context.Context, cfg Config) (_ *Hub, err error) {
	cfg.Group = cmp.Or(cfg.Group, "default")
	card := cfg.Host.Card()
	if err := errors.Join(packet.CheckName("group's name", cfg.Group), packet.CheckName("node's name", card.Node)); err != nil {
		return nil, fmt.Errorf("join the cluster: %w", err)
	}
	if len(cfg.Group) > maxGroup {
		return nil, fmt.Errorf("join the cluster: the group's name %q is longer than %d letters: choose another with --group", cfg.Group, maxGroup)
	}
	h := &Hub{
		cfg: cfg, log: cmp.Or(cfg.Log, slog.Default()), name: card.Node, boot: card.Boot,
		suspects: make(chan packet.ID, pingsAtOnce), dead: make(chan *peer, pingsAtOnce), targets: make(chan []*peer, 1),
	}
	defer func() {
		if err != nil {
			h.deafen()
		}
	}()
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, fmt.Errorf("join the cluster: %w", err)
	}
	// A request that came while the servers chose a leader is never answered.
	err = answered(ctx, func(ctx context.Context) error {
		h.cards, err = bucket(ctx, js, cfg)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a place for the cards of the group %s in the cluster: %w; the user of this node needs JetStream and the subjects $JS.API.> and $KV.>", cfg.Group, err)
	}
	// Whoever reads the card may ask at once.
	if err := h.listen(); err != nil {
		return nil, fmt.Errorf("listen to the cluster: %w", err)
	}
	if err := h.claim(ctx); err != nil {
		return nil, fmt.Errorf("join the group %s as %s: %w", cfg.Group, h.name, err)
	}
	return h, nil
}

// answered asks the cluster something that may be asked twice, until there is an
// answer: for joinTime, with callTime for each try.
func answered(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	for {
		call, cancel := context.WithTimeout(ctx, callTime)
		err := ask(call)
		cancel()
		if !unanswered(err) || !pause.For(ctx, strikeAfter) {
			return err
		}
	}
}

// unanswered tells whether the servers choose a leader, or whoever should have
// answered is gone.
func unanswered(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded)
}

// bucket is where the cards are. It is made if need be, with fewer replicas
// where the cluster has fewer servers.
func bucket(ctx context.Context, js jetstream.JetStream, cfg Config) (jetstream.KeyValue, error) {
	name := "pmk_" + cfg.Group + "_nodes"
	kv, err := js.KeyValue(ctx, name)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	for n := cmp.Or(cfg.Replicas, 3); ; n-- {
		kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: name, TTL: lapse, Replicas: n, Storage: jetstream.FileStorage,
			Description: "the nodes of the Pumpkin group " + cfg.Group,
		})
		switch {
		case errors.Is(err, jetstream.ErrBucketExists): // another node was faster
			return js.KeyValue(ctx, name)
		case n > 1 && fewServers(err):
		default:
			return kv, err
		}
	}
}

// What a server says to more replicas than the cluster has servers.
const (
	codeNoPeers     = 10005
	codeNoReplicas  = 10074
	codeNotEnoughIn = 10023 // insufficient resources, of older servers
)

func fewServers(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case codeNoPeers, codeNoReplicas, codeNotEnoughIn:
		return true
	}
	return false
}

// Run keeps the card fresh and tells the node who its peers are, until ctx ends;
// then it leaves, and the peers are gone. It returns [ErrTaken] when the node
// was cut off for so long that another took its name. It is called once.
func (h *Hub) Run(ctx context.Context) (err error) {
	err = errors.New("the hub ran already")
	h.ran.Do(func() { err = h.run(ctx) })
	return err
}

func (h *Hub) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := h.renew(ctx); err != nil {
			cancel(err)
		}
	})
	parts.Go(func() { h.pingAll(ctx) })
	h.gather(ctx)
	cancel(nil)
	parts.Wait()
	h.deafen()
	h.leave()
	if err := context.Cause(ctx); errors.Is(err, ErrTaken) {
		return fmt.Errorf("stay in the group %s as %s: %w", h.cfg.Group, h.name, err)
	}
	return nil
}

// subject is where a node of that boot listens for what.
func (h *Hub) subject(boot packet.ID, what string) string {
	return "pmkmesh." + h.cfg.Group + "." + boot.String() + "." + what
}

// listen begins to answer pings and requests, and to hear who is said to be
// gone.
func (h *Hub) listen() error {
	h.desk = newDesk(h.cfg.API, h.cfg.Conn, h.log)
	for subject, hear := range map[string]nats.MsgHandler{
		h.subject(h.boot, "ping"):          func(msg *nats.Msg) { h.respond(msg) },
		h.subject(h.boot, "http"):          h.desk.take,
		"pmkmesh." + h.cfg.Group + ".gone": h.hearGone,
	} {
		sub, err := h.cfg.Conn.Subscribe(subject, hear)
		if err != nil {
			return err
		}
		h.subs = append(h.subs, sub)
	}
	// The server knows of it before the card is there.
	return h.cfg.Conn.FlushTimeout(callTime)
}

func (h *Hub) respond(msg *nats.Msg) {
	if err := msg.Respond(nil); err != nil {
		h.log.Debug("answering a ping", "error", err)
	}
}

// deafen ends what listen began, and waits for answers on their way.
func (h *Hub) deafen() {
	for _, sub := range h.subs {
		_ = sub.Unsubscribe() // fails when the connection is closed, which does as well
	}
	if h.desk != nil {
		h.desk.close()
	}
}
