// Package front serves the API and the page of a node over HTTP, to browsers among
// others, and keeps out what a browser can be made to send by a page of somebody
// else.
//
// On a loopback address whoever is on the machine may read; what changes something
// needs the token, since other users of the machine and other pages in the browser
// reach the address too. On any other address there is TLS, and everything needs
// the token. In the order in which a request meets them:
//
//   - its Host has to be an address, localhost or this machine's name: a name that
//     somebody else's DNS leads here is refused (DNS rebinding)
//   - it must not come from another origin: one that changes something, or asks the
//     API, and that a page of another site has made the browser send
//   - the token, in the header Authorization as a bearer's or in a cookie, which a
//     visit of [Front.Link] sets
//   - bodies, headers, connections, and the time that a client may take nothing and
//     give nothing are bounded
package front

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// A Front is an open address.
type Front struct {
	cfg      Config
	listener net.Listener
	guard    *guard
}

// Loopback tells whether an address, HOST:PORT, is reached from this machine alone.
// The host is an IP address, localhost, or nothing, which is every address.
func Loopback(address string) (bool, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("address %q: expected HOST:PORT, such as %s:%d", address, Host, Port)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false, fmt.Errorf("address %q: the port %q is not a number up to 65535", address, port)
	}
	switch host {
	case "":
		return false, nil
	case "localhost":
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false, fmt.Errorf("address %q: the host %q is neither an IP address nor localhost", address, host)
	}
	return ip.Unmap().IsLoopback(), nil
}

// ErrNoPort is that none of the ports is free that are tried where no address was
// asked for.
var ErrNoPort = errors.New("no port is free")

// Open listens. What is not loopback needs TLS and a token.
func Open(cfg Config) (*Front, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 30
	}
	if cfg.Patience == 0 {
		cfg.Patience = patience
	}
	near := true
	if cfg.Address != "" {
		var err error
		if near, err = Loopback(cfg.Address); err != nil {
			return nil, err
		}
	}
	if !near && (cfg.TLS == nil || cfg.Token == "") {
		return nil, fmt.Errorf("address %s: without TLS and a token only a loopback address is served", cfg.Address)
	}
	if cfg.Token == "" {
		cfg.Token = strings.ToLower(rand.Text())
	}
	l, err := listen(cfg.Address)
	if err != nil {
		return nil, err
	}
	f := &Front{cfg: cfg, listener: l}
	f.guard = newGuard(cfg, near, f.port())
	return f, nil
}

func listen(address string) (net.Listener, error) {
	if address == "" {
		return listenFrom(Port)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	return l, nil
}

// listenFrom listens on the first port that is free, from that one on.
func listenFrom(first int) (net.Listener, error) {
	for port := first; port < first+ports; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort(Host, strconv.Itoa(port)))
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("%w: %w", ErrNoPort, err)
		}
	}
	return nil, fmt.Errorf("%w of %s:%d to %d", ErrNoPort, Host, first, first+ports-1)
}

func (f *Front) port() int { return f.listener.Addr().(*net.TCPAddr).Port }

// ParseBase reads a [Config.Base]: http://HOST/PATH, https://HOST/PATH or /PATH.
func ParseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL: %w", s, err)
	}
	far := (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	if !far && (u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/")) || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("%q: expected where users find the page, such as https://example.org/pumpkin, or the path alone, such as /pumpkin", s)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}, nil
}

// URL is where the front is reached, with host in place of every address.
func (f *Front) URL(host string) string {
	if f.cfg.Base != nil && f.cfg.Base.Host != "" {
		return f.cfg.Base.String() + "/"
	}
	at := f.listener.Addr().(*net.TCPAddr)
	u := url.URL{Scheme: "http", Path: "/"}
	if f.cfg.TLS != nil {
		u.Scheme = "https"
	}
	if !at.IP.IsUnspecified() {
		host = at.IP.String()
	}
	if f.cfg.Base != nil {
		u.Path = f.cfg.Base.Path + "/"
	}
	u.Host = net.JoinHostPort(host, strconv.Itoa(at.Port))
	return u.String()
}

// Link is the URL with the token: a visit lets the browser in.
func (f *Front) Link(host string) string { return f.URL(host) + "?token=" + f.cfg.Token }

// Run serves until ctx ends; requests under way then have a second to finish.
func (f *Front) Run(ctx context.Context) error {
	server := &http.Server{
		Handler: f.guard, TLSConfig: f.cfg.TLS, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: f.cfg.Patience, IdleTimeout: idleTime,
		ConnContext: withConn, ErrorLog: slog.NewLogLogger(f.cfg.Log.Handler(), slog.LevelDebug),
	}
	l := limit(f.listener, maxConnections, maxStrangers)
	done := make(chan error, 1)
	go func() {
		if f.cfg.TLS != nil {
			done <- server.ServeTLS(l, "", "")
		} else {
			done <- server.Serve(l)
		}
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close() // the listener was closed before
	}
	<-done
	return nil
}

// Close gives up a front that was never run.
func (f *Front) Close() error { return f.listener.Close() }
