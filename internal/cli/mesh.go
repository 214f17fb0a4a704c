package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/beacon"
	"github.com/recap/pumpkin/internal/mesh/circle"
	"github.com/recap/pumpkin/internal/mesh/hub"
	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/internal/web/page"
)

// meshFlags say how a node meets others.
type meshFlags struct {
	key       string
	join      []string
	advertise []string
	endpoint  string
}

func (f *meshFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.key, "key", "", "the key of the network, in this `FILE`: every node with it is in, on any machine (or PUMPKIN_KEY in the environment, which may be the key itself; 'pmk key new' makes one)")
	flags.StringArrayVar(&f.join, "join", nil, "the address of a node that no broadcast reaches, `HOST:PORT`; may be repeated")
	flags.StringArrayVar(&f.advertise, "advertise", nil, "where other nodes reach this one, `HOST:PORT`, in place of where they see it: from a container, behind address translation, on several networks; up to 4 times")
	flags.StringVar(&f.endpoint, "endpoint.type", "", "how other nodes reach this one: ipc (on this machine only) or tcp (default: tcp with a key, else ipc)")
}

// keyWay is how machines become one network.
const keyWay = "make a key with 'pmk key new > lan.key', copy it to the other machines, and start every node with 'pmk --key lan.key'"

// A reach is how far a node is offered.
type reach struct {
	secrets *key.Secrets // nil without a key
	tcp     bool
	apart   string // the folder of nodes that have a cluster in common; "" for others
	// join are addresses of other nodes, and advertise those of this one.
	join, advertise []string
}

// reach reads what the flags say.
func (f *meshFlags) reach(group string, shared *clusterFlags, log *slog.Logger) (reach, error) {
	if shared.asked() {
		if f.key != "" || len(f.join) > 0 || len(f.advertise) > 0 || f.endpoint != "" {
			return reach{}, usageError{errors.New("--key, --join, --advertise and --endpoint.type have no meaning with --store: nodes meet in the cluster")}
		}
		return reach{apart: clusterMeet}, nil
	}
	k, err := f.read(log)
	if err != nil {
		return reach{}, err
	}
	kind := strings.TrimPrefix(strings.ToLower(f.endpoint), "zmq.")
	switch {
	case kind == "", kind == "ipc", kind == "tcp":
	case kind == "inproc", kind == "multicast":
		return reach{}, usageError{fmt.Errorf("--endpoint.type %s: seeds of one node meet in memory in any case; say ipc or tcp", f.endpoint)}
	default:
		return reach{}, usageError{fmt.Errorf("--endpoint.type %s: expected ipc or tcp (or, as before, zmq.IPC or zmq.TCP)", f.endpoint)}
	}
	if k == nil {
		switch {
		case kind == "tcp":
			return reach{}, usageError{fmt.Errorf("--endpoint.type %s: a node without a key does not leave its machine: %s", f.endpoint, keyWay)}
		case len(f.join) > 0:
			return reach{}, usageError{fmt.Errorf("--join %s: a node without a key does not leave its machine: %s", f.join[0], keyWay)}
		case len(f.advertise) > 0:
			return reach{}, usageError{fmt.Errorf("--advertise %s: a node without a key does not leave its machine: %s", f.advertise[0], keyWay)}
		}
		return reach{}, nil
	}
	for _, address := range f.join {
		if err := circle.CheckAddress(address); err != nil {
			return reach{}, usageError{fmt.Errorf("--join: %w", err)}
		}
	}
	if len(f.advertise) > 0 && kind == "ipc" {
		return reach{}, usageError{fmt.Errorf("--advertise %s has no meaning with --endpoint.type %s: leave one of them out", f.advertise[0], f.endpoint)}
	}
	for _, at := range f.advertise {
		if host, _, _ := net.SplitHostPort(at); host == "localhost" || net.ParseIP(host).IsLoopback() {
			return reach{}, usageError{fmt.Errorf("--advertise %s: by that address each machine reaches itself; an example is 192.168.1.50:7900", at)}
		}
	}
	if err := mesh.CheckAddresses(f.advertise); err != nil {
		return reach{}, usageError{fmt.Errorf("--advertise: %w", err)}
	}
	return reach{secrets: k.Group(group), tcp: kind != "ipc", join: f.join, advertise: f.advertise}, nil
}

// read is the key that is in the file, or that the environment held; nil is none.
func (f *meshFlags) read(log *slog.Logger) (*key.Key, error) {
	switch {
	case f.key == "":
		return nil, nil
	case key.IsText(f.key):
		k, err := key.Parse(f.key)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", keyVariable, err)}
		}
		return &k, nil
	}
	k, err := key.Read(f.key)
	if err != nil {
		return nil, usageError{err}
	}
	if warning := key.Exposed(f.key); warning != "" {
		log.Warn(warning)
	}
	return &k, nil
}

// key is the fingerprint of the network's key, for the data folder.
func (r *reach) key() string {
	if r.secrets == nil {
		return folder.NoKey
	}
	return r.secrets.Fingerprint()
}

// meet is the folder of the sockets of nodes that can meet.
func (r *reach) meet() string {
	switch {
	case r.apart != "":
		return r.apart
	case r.secrets == nil:
		return local.Meet
	}
	return r.secrets.Fingerprint()
}

// A company is what connects a node with others.
type company struct {
	circle  *circle.Circle
	beacon  *beacon.Beacon // nil where the node is not offered over TCP
	hub     *hub.Hub       // where a cluster is the one store; else nil
	api     http.Handler
	socket  net.Listener
	port    net.Listener // nil likewise
	guard   *guard       // of the data folder; nil is none
	offered string       // where this node's seeds are reached, for people
	log     *slog.Logger
}

// company opens what the node is reached by.
func (r *reach) company(ctx context.Context, n *node.Node, own opened, log *slog.Logger) (_ *company, err error) {
	c := &company{offered: "inproc://" + n.Name(), guard: own.guard, log: log}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.socket, err = local.ListenIn(n.Group(), r.meet(), n.Name()); err != nil {
		return nil, err
	}
	cfg := circle.Config{Data: own.data, Host: n, Join: r.join, Advertise: r.advertise, Log: log}
	if own.guard != nil {
		cfg.Copied = own.guard.copied
	}
	if cfg.Folder, err = local.Folder(n.Group(), r.meet()); err != nil {
		return nil, err
	}
	if r.secrets != nil {
		tls, err := r.secrets.TLS(n.Name())
		if err != nil {
			return nil, err
		}
		cfg.Server, cfg.Client = tls.Server, tls.Client
	}
	if r.tcp {
		if c.port, err = circle.Listen(""); err != nil {
			return nil, err
		}
		cfg.Port = uint16(c.port.Addr().(*net.TCPAddr).Port)
		c.offered = "tcp://" + net.JoinHostPort(ownAddress(), fmt.Sprint(cfg.Port))
		if len(r.advertise) > 0 {
			c.offered = "tcp://" + r.advertise[0]
		}
	}
	c.api = web.Handler(web.Config{Node: n, Outsiders: c.outsiders, Ignored: c.ignored, Copied: own.guard.text, Backup: own.backup, Page: page.Handler()})
	cfg.API = c.api
	if shared := own.cluster; shared != nil {
		cfg.Folder = "" // the sockets are for commands alone
		if c.hub, err = joinHub(ctx, shared, n, c.api, log); err != nil {
			return nil, err
		}
		c.offered = shared.At()
	}
	if c.circle, err = circle.New(cfg); err != nil {
		return nil, err
	}
	own.guard.doubt(r.tcp)
	if r.tcp {
		c.beacon = beacon.New(beacon.Config{
			Seal: r.secrets, Boot: n.Boot(), TCP: cfg.Port, Advertise: r.advertise, Log: log,
			Sighted: func(s beacon.Sighting) { c.circle.Sight(s.Boot, s.Addr, s.Protocol, s.Advertise...) },
		})
	}
	return c, nil
}

// outsiders are the nodes that were seen and are not met, or one way only.
func (c *company) outsiders() []mesh.Outsider {
	out := c.circle.Unmet()
	if c.beacon == nil {
		return out
	}
	for _, s := range c.beacon.Strangers() {
		out = append(out, mesh.Outsider{
			At: "tcp://" + s.Addr.String(), By: mesh.ByBeacon, Reason: mesh.WrongKey,
			Why: mesh.WrongKey.Why(), Next: mesh.WrongKey.Next(0), Since: s.Since, Seen: s.Seen,
		})
	}
	return out
}

// ignored counts what came from who does not have the key.
func (c *company) ignored() mesh.Ignored {
	out := mesh.Ignored{Connections: c.circle.Counts().Gate.Failed}
	if c.beacon != nil {
		heard := c.beacon.Counts()
		out.Beacons = heard.Strangers + heard.Garbage + heard.Oversize + heard.Replays
	}
	return out
}

// run keeps the node connected until ctx ends.
func (c *company) run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return c.circle.Serve(ctx, c.socket, false) })
	if c.hub != nil {
		group.Go(func() error { return c.hub.Run(ctx) })
	} else {
		group.Go(func() error { return c.circle.Run(ctx) })
		group.Go(func() error {
			c.guard.watch(ctx, c.circle.Doubtful)
			return nil
		})
	}
	if c.port != nil {
		group.Go(func() error { return c.circle.Serve(ctx, c.port, true) })
		group.Go(func() error {
			// A port that another program has is no reason not to run: nodes are
			// still joined, and met through those that are.
			if err := c.beacon.Run(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn(fmt.Sprintf("this node does not look for other nodes: %v; --join HOST:PORT still reaches them", err))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// close gives up what was opened and never run.
func (c *company) close() {
	for _, l := range []net.Listener{c.socket, c.port} {
		if l != nil {
			l.Close() // nobody has used it
		}
	}
}

// ownAddress is an address of this machine by which others may reach it, for
// people: the first of a network that is up.
func ownAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "localhost"
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr().String()
		}
	}
	return "localhost"
}
