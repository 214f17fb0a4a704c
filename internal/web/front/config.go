package front

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

const (
	// Host and Port are where a front listens that is not told where, or on the
	// next port that is free of this many.
	Host  = "127.0.0.1"
	Port  = 7811
	ports = 100
)

// The bounds of what clients may do.
const (
	maxHeader      = 16 << 10
	maxConnections = 256
	maxStrangers   = 64 // of these, those that are not for connections which have shown the token
	patience       = 30 * time.Second
	idleTime       = 2 * time.Minute
	graceTime      = time.Second
)

// Config says what a front serves, and how.
type Config struct {
	// Address is where to listen, HOST:PORT; "" means Host and Port, or the next
	// port that is free.
	Address string
	// Handler answers what is let in.
	Handler http.Handler
	// TLS is what to speak with; nil is HTTP, which is for loopback alone.
	TLS *tls.Config
	// Token is what to ask for; "" draws one.
	Token string
	// Base is where users find the front, through a proxy: a URL, or a path alone. Then
	// everything takes the token, since who asks is not on this machine. nil is no proxy.
	Base *url.URL
	// MaxBody is the most bytes of a request's body; 0 means 1 GiB.
	MaxBody int64
	// Patience is how long a client may take to send its headers or some of a body,
	// or to take some of an answer; 0 means 30 s.
	Patience time.Duration
	// Log takes what goes wrong; nil discards it.
	Log *slog.Logger
}
