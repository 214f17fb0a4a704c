package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/pflag"

	"github.com/recap/pumpkin/internal/mesh/hub"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store/cluster"
)

// clusterFlags say which outside cluster is the one store of all nodes.
type clusterFlags struct {
	servers []string
	creds   string
	tls     cluster.TLS
}

func (f *clusterFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.servers, "store", nil, "store packets in this NATS cluster, which all nodes of the group share: `nats://HOST:PORT,...` (with a password only as PUMPKIN_STORE in the environment)")
	flags.StringVar(&f.creds, "store-creds", "", "the `FILE` with the credentials for --store")
	flags.StringVar(&f.tls.CA, "store-ca", "", "the `FILE` with the CA certificate of the servers of --store")
	flags.StringVar(&f.tls.Cert, "store-cert", "", "the `FILE` with this node's certificate for --store")
	flags.StringVar(&f.tls.Key, "store-key", "", "the `FILE` with that certificate's key")
}

func (f *clusterFlags) asked() bool { return len(f.servers) > 0 }

// check refuses what the flags cannot mean together.
func (f *clusterFlags) check(data string, durability node.Durability) error {
	if !f.asked() {
		if f.creds != "" || f.tls != (cluster.TLS{}) {
			return errors.New("--store-creds, --store-ca, --store-cert and --store-key go with --store nats://HOST:PORT")
		}
		return nil
	}
	for _, server := range f.servers {
		u, err := url.Parse(server)
		if err != nil || !slices.Contains([]string{"nats", "tls"}, u.Scheme) || u.Host == "" {
			return fmt.Errorf("--store %s: expected nats://HOST:PORT or tls://HOST:PORT, several with commas between", cluster.Redacted(server))
		}
	}
	switch {
	case data != "":
		return fmt.Errorf("--data %s has no meaning with --store: packets are in the cluster; leave one of them out", data)
	case durability != node.Disk:
		return fmt.Errorf("--durability %s has no meaning with --store: packets are in the cluster; leave one of them out", durability)
	}
	return nil
}

// clusterMeet is the folder of the sockets of nodes that meet in a cluster.
const clusterMeet = "nats"

// open opens the store that the group shares.
func (f *clusterFlags) open(ctx context.Context, group string, size int64, log *slog.Logger) (opened, error) {
	s, err := cluster.Open(ctx, cluster.Config{
		URLs: f.servers, Creds: f.creds, TLS: f.tls, Group: group, Size: size, Log: log,
	})
	if err != nil {
		return opened{}, err
	}
	blobs := s.Blobs()
	copies := "one copy of each"
	if n := s.Replicas(); n > 1 {
		copies = fmt.Sprintf("%d copies of each", n)
	}
	return opened{
		store: s, blobs: blobs, cluster: s, node: newNodeName(),
		note:   fmt.Sprintf("packets are stored in the cluster at %s, %s, with those of all nodes of the group", s.At(), copies),
		backup: noBackup("packets are in the cluster at " + s.At() + ": its servers' own tools back that up"),
		close:  s.Close,
	}, nil
}

// joinHub has the node meet the others of its cluster, which reach its API there.
func joinHub(ctx context.Context, s *cluster.Store, n *node.Node, api http.Handler, log *slog.Logger) (*hub.Hub, error) {
	h, err := hub.Join(ctx, hub.Config{Conn: s.Conn(), Group: n.Group(), Host: n, API: api, Replicas: s.Replicas(), Log: log})
	if errors.Is(err, hub.ErrTaken) {
		err = fmt.Errorf("%w: start this one again, it then has another name", err)
	}
	return h, err
}
