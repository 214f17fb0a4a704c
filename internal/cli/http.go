package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/web/front"
)

// An httpFlag is where a node serves its page and API over HTTP: an address, off,
// or "" for the default.
type httpFlag string

const httpOff = "off"

func (f *httpFlag) String() string { return string(*f) }

func (f *httpFlag) Set(s string) error {
	if s != httpOff {
		if _, err := front.Loopback(s); err != nil {
			return fmt.Errorf("%w; or %s", err, httpOff)
		}
	}
	*f = httpFlag(s)
	return nil
}

func (*httpFlag) Type() string { return "ADDRESS" }

// A baseFlag is where users find the page through a proxy.
type baseFlag struct{ url *url.URL }

func (f *baseFlag) String() string {
	if f.url == nil {
		return ""
	}
	return f.url.String()
}

func (f *baseFlag) Set(s string) (err error) {
	f.url, err = front.ParseBase(s)
	return err
}

func (*baseFlag) Type() string { return "URL" }

// far tells whether other machines reach the address.
func (f httpFlag) far() bool {
	if f == "" || f == httpOff {
		return false
	}
	near, err := front.Loopback(string(f))
	return err == nil && !near
}

// check refuses an address that would let strangers in.
func (f httpFlag) check(secrets *key.Secrets) error {
	if f.far() && secrets == nil {
		return usageError{fmt.Errorf("--http %s: other machines reach this address, and a node without a key does not leave its machine: "+
			"make a key with 'pmk key new > lan.key' and start the node with --key lan.key, or say --http %s:%d", f, front.Host, front.Port)}
	}
	return nil
}

// open opens the address; nil is that there is none. On loopback the token is that of the
// data folder, if there is one.
func (f httpFlag) open(n *node.Node, api http.Handler, secrets *key.Secrets, data string, base baseFlag, log *slog.Logger) (*front.Front, error) {
	if f == httpOff {
		return nil, nil
	}
	// Large data in base64 takes a third more, and the rest of a packet a little.
	cfg := front.Config{Address: string(f), Handler: (&utf16Watch{log: log}).handler(api), MaxBody: n.MaxData()/3*4 + 1<<20, Base: base.url, Log: log}
	var page *key.Page
	if f.far() {
		names, addresses := ownNames()
		var err error
		if page, err = secrets.Page(names, addresses); err != nil {
			return nil, err
		}
		cfg.TLS, cfg.Token = page.TLS, secrets.Token()
	} else if data != "" {
		var err error
		if cfg.Token, err = folder.Token(data); err != nil {
			log.Warn(fmt.Sprintf("the token of the web page will be another at the next start: %v", err))
		}
	}
	at, err := front.Open(cfg)
	switch {
	case errors.Is(err, front.ErrNoPort):
		log.Warn(fmt.Sprintf("the web page is not served: %v; choose another address with --http HOST:PORT", err))
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("--http %s: %w", f, err)
	case page != nil:
		log.Info(fmt.Sprintf("web page at %s; 'pmk key token' prints the token, and SHA-256 of the certificate is %s", at.URL(ownAddress()), page.Fingerprint))
	default:
		log.Info("web page at " + at.Link(front.Host))
	}
	return at, nil
}

// serve opens the address and answers there until end is called, which waits.
func (f httpFlag) serve(n *node.Node, api http.Handler, secrets *key.Secrets, data string, base baseFlag, log *slog.Logger) (end func(), err error) {
	at, err := f.open(n, api, secrets, data, base, log)
	if at == nil {
		return func() {}, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := at.Run(ctx); err != nil {
			log.Error(fmt.Sprintf("the web page has ended: %v", err))
		}
	}()
	return func() {
		stop()
		<-ended
	}, nil
}

// ownNames are the names and addresses that others may reach this machine by.
func ownNames() (names []string, addresses []net.IP) {
	names = []string{"localhost"}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return names, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok {
			addresses = append(addresses, ip.IP)
		}
	}
	return names, addresses
}
