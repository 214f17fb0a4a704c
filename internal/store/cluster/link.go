package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/store"
)

// A link is the connection to the cluster.
type link struct {
	cfg     Config
	log     *slog.Logger
	nc      *nats.Conn
	js      jetstream.JetStream
	clock   clock
	reached func() // is called when the connection is made anew

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu      sync.Mutex // also for what the layers above say of it
	closed  bool
	down    error         // why nothing can be stored
	denied  error         // what the server last said this user may not do
	refused func()        // ends what waits for that while the store is opened
	changed chan struct{} // closed when a queue was made, or the connection is another
}

// maxWaiting bounds the messages of one subscription that nobody has read: a batch, and
// what the server says about it.
const maxWaiting = 4 * maxBatch

// maxBatch is how many frames one request asks for.
const maxBatch = 32

// dialWait bounds the connection to one server.
const dialWait = 5 * time.Second

// connect dials the cluster. Later the connection is made anew for ever.
func (s *link) connect(ctx context.Context) error {
	if len(s.cfg.URLs) == 0 {
		return errors.New("open the store: no server is named; name one, such as nats://host:4222")
	}
	opts := []nats.Option{
		nats.Name("pmk"), nats.Timeout(dialWait),
		// Every pull has a subscription. The library's own number, 65,536, takes half
		// a MiB each.
		nats.SyncQueueLen(maxWaiting),
		nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.IgnoreAuthErrorAbort(), // a server that comes back may refuse for a while
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
		// What could not be sent at once is sent again by its sender, if it
		// still has a meaning.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { s.lost(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { s.back() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.asyncError(err) }),
	}
	for _, file := range []string{s.cfg.Creds, s.cfg.TLS.CA, s.cfg.TLS.Cert, s.cfg.TLS.Key} {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			return fmt.Errorf("open the store: %w", err)
		}
	}
	if s.cfg.Creds != "" {
		opts = append(opts, nats.UserCredentials(s.cfg.Creds))
	}
	if s.cfg.TLS.CA != "" {
		opts = append(opts, nats.RootCAs(s.cfg.TLS.CA))
	}
	if (s.cfg.TLS.Cert == "") != (s.cfg.TLS.Key == "") {
		return errors.New("open the store: a certificate and its key belong together; name both files")
	}
	if s.cfg.TLS.Cert != "" {
		opts = append(opts, nats.ClientCert(s.cfg.TLS.Cert, s.cfg.TLS.Key))
	}
	nc, err := nats.Connect(strings.Join(s.cfg.URLs, ","), opts...)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("open the store: %w", ctx.Err())
		}
		return s.explain(err)
	}
	if nc.MaxPayload() < store.MaxFrame {
		defer nc.Close()
		return fmt.Errorf("open the store: the NATS server at %s takes messages of at most %d bytes, and a frame may have %d; set max_payload: 1MB in its configuration", Redacted(nc.ConnectedUrl()), nc.MaxPayload(), store.MaxFrame)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(callWait))
	if err != nil {
		nc.Close()
		return fmt.Errorf("open the store: %w", err)
	}
	s.nc, s.js = nc, js
	return nil
}

// callWait bounds one call of JetStream's interface.
const callWait = 5 * time.Second

// where names the servers without their passwords.
func (s *link) where() string {
	if s.nc != nil && s.nc.IsConnected() {
		return Redacted(s.nc.ConnectedUrl())
	}
	return strings.Join(s.nodeURLs(), ",")
}

// explain says what went wrong between this node and the cluster, and what to
// do about it.
func (s *link) explain(err error) error {
	s.mu.Lock()
	denied := s.denied
	s.mu.Unlock()
	next := ""
	switch text := err.Error(); {
	case denied != nil:
		err = denied
		next = "give this user the right to it: it has to publish to $JS.API.>, $JS.ACK.>, $KV.>, $O.>, pmk.>, pmkmesh.> and _INBOX.>, and to subscribe to pmk.>, pmkmesh.> and _INBOX.>"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		next = "it does not know this user: name a credentials file, or have the address with user and password in the environment, PUMPKIN_STORE=nats://USER:PASSWORD@HOST:4222"
	case errors.Is(err, nats.ErrSecureConnRequired), strings.Contains(text, "tls: certificate required"), strings.Contains(text, "tls: bad certificate"), strings.Contains(text, "tls: unknown certificate"), strings.Contains(text, "after TLS handshake"):
		next = "it asks for a certificate: name this node's with its key"
	case errors.Is(err, nats.ErrSecureConnWanted):
		next = "it has no TLS: leave the TLS files out, or set TLS up in its configuration"
	case strings.Contains(text, "x509:"):
		next = "its certificate is not known here: name the authority that signed it, and the host as the certificate has it"
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout), strings.Contains(text, "no such host"), strings.Contains(text, "refused"):
		next = "no server answers there: start it, or name another"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		next = "it has no JetStream: start it with 'jetstream {}' in its configuration, or with -js"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		next = "this user's account has no JetStream: enable it for the account"
	case errors.Is(err, context.DeadlineExceeded):
		next = "it did not answer in time: most of the cluster's servers have to run"
	case strings.Contains(strings.ToLower(text), "maximum control line"):
		next = "keys of records are longer than the lines that it takes; set max_control_line: 4KB in its configuration"
	case isFull(err):
		next = "raise the limits of the account, or of the cluster"
	}
	if next == "" {
		return fmt.Errorf("open the store: the NATS server at %s: %w", s.where(), err)
	}
	return fmt.Errorf("open the store: the NATS server at %s: %w; %s", s.where(), err, next)
}

// lost is told that the connection is gone.
func (s *link) lost(err error) {
	if err == nil {
		err = errors.New("the server closed the connection")
	}
	s.mu.Lock()
	closed := s.closed
	s.down = fmt.Errorf("no connection to the NATS servers %s: %w; it is tried again all the time", strings.Join(s.nodeURLs(), ","), err)
	s.mu.Unlock()
	if !closed {
		s.log.Warn("the connection to the store is lost", "error", err)
	}
}

// nodeURLs are the named servers without passwords.
func (s *link) nodeURLs() []string {
	var all []string
	for _, raw := range s.cfg.URLs {
		all = append(all, Redacted(raw))
	}
	return all
}

// Redacted is a server's address, for people: without its password, or its token, which
// stands in the place of a user.
func Redacted(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "(an address that cannot be read)"
	}
	if _, named := u.User.Password(); u.User != nil && !named {
		u.User = url.User("xxxxx")
	}
	return u.Redacted()
}

// back is told that there is a connection again.
func (s *link) back() {
	s.mu.Lock()
	s.down = nil
	s.mu.Unlock()
	s.log.Info("the store is reached again", "server", s.where())
	s.announce()
	s.reached()
}

// asyncError is told what the server says without being asked.
func (s *link) asyncError(err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		s.mu.Lock()
		s.denied = err
		refused := s.refused
		s.mu.Unlock()
		if refused != nil {
			refused()
		}
	}
	s.log.Warn("the store's server reports an error", "error", err)
}

const (
	// stepWait is how long a step of a transaction waits for a cluster that
	// elects a leader (a busy one for 4 to 9 s, and perhaps again) or a connection that
	// is made anew, before it is ErrBroken.
	stepWait = 20 * time.Second
	// pause is waited before something is tried again.
	pause = 50 * time.Millisecond
	// maxAtOnce is how many calls a transaction has under way at a time.
	maxAtOnce = 16
)

// closeWait is how long Close waits for the cluster.
const closeWait = 5 * time.Second

// announce wakes whoever waits for a queue or for the connection.
func (s *link) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// current is a channel that is closed when another look is worth it, and an
// error once the store is closed.
func (s *link) current() (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	return s.changed, nil
}

// within is a context that ends with the store as well, and after d.
func (s *link) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, d)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// untilAnswered asks the cluster something until it is answered, for a while.
func (s *link) untilAnswered(ctx context.Context, ask func(ctx context.Context) error) error {
	waits, cancel := s.within(ctx, stepWait)
	defer cancel()
	for {
		calls, cancel := context.WithTimeout(waits, callWait)
		err := ask(calls)
		cancel()
		if err == nil || waits.Err() != nil {
			return err
		}
		select {
		case <-waits.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// broken is what the caller is told of an error of the cluster.
func (s *link) broken(err error) error {
	s.mu.Lock()
	down, closed := s.down, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return store.ErrClosed
	case down != nil:
		err = down
	}
	return fmt.Errorf("%w: %w", store.ErrBroken, err)
}

// unanswered is what the caller is told of an error of the cluster: unless it gave
// up, why the cluster cannot be asked.
func (s *link) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.broken(err)
}
