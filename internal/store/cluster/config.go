package cluster

import (
	"log/slog"
	"time"
)

// Config says how to reach the cluster, and what to do there.
type Config struct {
	// URLs are servers of the cluster: nats://host:4222, also with user and
	// password, or tls://. One that answers is enough; it names the others.
	URLs []string
	// Creds is the file with a user's credentials, as nsc writes it. "" is none.
	Creds string
	// TLS says how the servers are known, and how this node is.
	TLS TLS
	// Group is whose packets these are. "" means "default".
	Group string
	// Size bounds the bytes of the frames of all nodes that roots may take; 0
	// is no bound but the cluster's own limits. Each node counts once a second,
	// so several that append at once can exceed it by what they do meanwhile.
	Size int64
	// Reserve is what descendants may take beyond that. 0 is a fifth of Size,
	// and at least 1 GiB.
	Reserve int64
	// Log gets what happens to the connection. nil is no log.
	Log *slog.Logger
	// Grace is how long large data stays that nobody has used. 0 means an
	// hour. All nodes of a group have to have the same.
	Grace time.Duration
}

// TLS names files in PEM form. Without any, servers of tls:// addresses are
// checked against the system's authorities.
type TLS struct {
	CA        string // the authority of the servers
	Cert, Key string // this node's certificate, for servers that ask for one
}
