package link

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/packet"
)

// A Client says who reaches another node, and how.
type Client struct {
	Hello Hello
	// TLS is nil over a Unix socket.
	TLS *tls.Config
	// At is how the node is reached, for people.
	At string
	// Shared says that the nodes have one store, so that none is used through
	// another.
	Shared bool
	// Changed is called when the card has changed, and Heard with where other
	// nodes are said to be; both from Run. They may be nil.
	Changed func()
	Heard   func([]Sighting)
	// Kept are the leases that this node has of others; nil are those of this
	// connection alone.
	Kept *Kept
}

// A Peer is another node, over one connection. It is safe for concurrent use.
type Peer struct {
	cfg     Client
	conn    *http.ClientConn
	hello   Hello // of the other side
	session string
	me      string // the header Pumpkin-Hello
	card    atomic.Pointer[mesh.Card]

	lines  *bufio.Scanner
	answer *http.Response // of the watch
	last   atomic.Int64   // when something came last, in Unix nanoseconds
	quiet  *time.Timer    // ends the peer when nothing comes

	ctx  context.Context // ends when the node is gone
	stop context.CancelCauseFunc
	pull puller
}

var _ mesh.Peer = (*Peer)(nil)

// Dial makes the node at the other end of conn a peer, and returns when it has
// said who it is. It takes conn over. Whoever called it then calls [Peer.Run],
// or [Peer.Close]. An error may be a [*ProtocolError], [ErrSelf] or
// [ErrRefused].
func Dial(ctx context.Context, conn net.Conn, cfg Client) (*Peer, error) {
	p, err := dial(ctx, conn, cfg)
	if err != nil {
		conn.Close() // the reason is the error that counts
		return nil, err
	}
	return p, nil
}

func dial(ctx context.Context, conn net.Conn, cfg Client) (*Peer, error) {
	me, err := json.Marshal(cfg.Hello)
	if err != nil {
		return nil, err
	}
	p := &Peer{cfg: cfg, me: string(me)}
	p.pull.peer, p.pull.leaveTime, p.pull.open = p, leaveTime, map[uint64]*waiting{}
	if p.conn, err = connect(ctx, conn, cfg.TLS); err != nil {
		return nil, err
	}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	p.quiet = time.AfterFunc(silence, func() { p.end(errQuiet) })
	// The time limit of ctx is for the beginning alone, not for the watch.
	stop := context.AfterFunc(ctx, func() { p.end(ctx.Err()) })
	err = p.begin()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		p.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
		return nil, err
	}
	return p, nil
}

// connect speaks HTTP/2 over conn.
func connect(ctx context.Context, conn net.Conn, secure *tls.Config) (*http.ClientConn, error) {
	t := &http.Transport{HTTP2: http2(), Protocols: new(http.Protocols), DisableCompression: true, MaxResponseHeaderBytes: maxHead}
	scheme := "http"
	t.Protocols.SetUnencryptedHTTP2(true)
	t.DialContext = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	if secure != nil {
		scheme = "https"
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP2(true)
		secure = secure.Clone()
		if !slices.Contains(secure.NextProtos, "h2") {
			secure.NextProtos = []string{"h2"}
		}
		secure.ServerName = cmp.Or(secure.ServerName, host)
		tc := tls.Client(conn, secure)
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("handshake: %w", err)
		}
		if tc.ConnectionState().NegotiatedProtocol != "h2" {
			return nil, errors.New("the other side does not speak HTTP/2; expected a node of Pumpkin")
		}
		t.DialTLSContext = func(context.Context, string, string) (net.Conn, error) { return tc, nil }
	}
	cc, err := t.NewClientConn(ctx, scheme, host+":1")
	if err != nil {
		return nil, fmt.Errorf("begin HTTP/2: %w", err)
	}
	return cc, nil
}

// host stands where a URL needs one.
const host = "node"

// begin sends the watch and reads who answers it.
func (p *Peer) begin() error {
	req := p.request(p.ctx, http.MethodGet, current+"watch", nil)
	var err error
	p.answer, err = p.conn.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if p.answer.StatusCode != http.StatusOK {
		return answerError(p.answer)
	}
	p.lines = bufio.NewScanner(p.answer.Body)
	p.lines.Buffer(nil, maxLine)
	l, err := p.next()
	if err != nil {
		return err
	}
	if l.Hello == nil || l.Session.IsZero() {
		return errors.New("the watch does not begin with a hello")
	}
	if err := l.Hello.check(); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	if l.Hello.Protocol != p.cfg.Hello.Protocol {
		return &ProtocolError{Hello: *l.Hello}
	}
	if l.Hello.Boot == p.cfg.Hello.Boot {
		return ErrSelf
	}
	p.hello, p.session = *l.Hello, l.Session.String()
	if p.cfg.Kept == nil {
		p.cfg.Kept = new(Kept)
	}
	p.pull.kept = p.cfg.Kept.from(p.hello.Node)
	l, err = p.next()
	if err != nil {
		return err
	}
	if l.Card == nil {
		return errors.New("the hello is not followed by a card")
	}
	return p.take(*l.Card)
}

// heard notes that the node lives. What comes of large answers counts as well as
// a beat: on a slow link a beat stands behind them.
func (p *Peer) heard() {
	p.last.Store(time.Now().UnixNano())
	p.quiet.Reset(silence)
}

// next reads a line.
func (p *Peer) next() (line, error) {
	var l line
	if !p.lines.Scan() {
		if err := p.lines.Err(); err != nil {
			return l, fmt.Errorf("read the watch: %w", err)
		}
		return l, errors.New("the watch has ended")
	}
	p.heard()
	if err := json.Unmarshal(p.lines.Bytes(), &l); err != nil {
		return l, fmt.Errorf("a line of the watch: %w", err)
	}
	if len(l.Peers) > MaxPeers {
		return l, fmt.Errorf("a line of the watch with %d peers; at most %d are allowed", len(l.Peers), MaxPeers)
	}
	return l, nil
}

// take takes a new card.
func (p *Peer) take(c mesh.Card) error {
	if err := checkCard(c, p.hello); err != nil {
		return fmt.Errorf("card: %w", err)
	}
	p.card.Store(&c)
	return nil
}

var (
	// errLeft is a node that said that it ends.
	errLeft = errors.New("it has left")
	// errQuiet is a node whose watch is open and still.
	errQuiet = fmt.Errorf("nothing was heard of it for %v", silence)
	// errClosed is a peer that this node does without.
	errClosed = errors.New("the connection was closed")
)

// end makes the node gone, for the first reason that there is.
func (p *Peer) end(why error) { p.stop(why) }

// Run follows the node until it is gone, or until this node ends with ctx and has
// given back what it leased, and returns why. After that nothing of the peer goes on.
func (p *Peer) Run(ctx context.Context) error {
	defer p.Close()
	defer context.AfterFunc(ctx, func() {
		p.pull.leave()
		p.end(ctx.Err())
	})()
	p.pull.resume()
	for {
		l, err := p.next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && p.Card().Leaving:
			return errLeft
		case err != nil && p.ctx.Err() != nil:
			return context.Cause(p.ctx)
		case err != nil:
			return err
		}
		if l.Card != nil {
			if err := p.take(*l.Card); err != nil {
				return err
			}
			if p.cfg.Changed != nil {
				p.cfg.Changed()
			}
		}
		if len(l.Peers) > 0 && p.cfg.Heard != nil {
			p.cfg.Heard(l.Peers)
		}
	}
}

// Close ends the connection. It may be called more than once.
func (p *Peer) Close() {
	p.end(errClosed)
	if p.answer != nil {
		p.answer.Body.Close() // the connection goes as well
	}
	p.conn.Close()
	p.pull.wait()
	p.quiet.Stop()
}

// Card is what the node has said last.
func (p *Peer) Card() mesh.Card { return *p.card.Load() }

// Hello is who the node is.
func (p *Peer) Hello() Hello { return p.hello }

// At is how it is reached.
func (p *Peer) At() string { return p.cfg.At }

// Boot is the start of the node that this is.
func (p *Peer) Boot() packet.ID { return p.hello.Boot }

// Seen is when it was heard last.
func (p *Peer) Seen() time.Time { return time.Unix(0, p.last.Load()) }

// Gone is closed when the node is gone.
func (p *Peer) Gone() <-chan struct{} { return p.ctx.Done() }

// Store is the node's store; nil where there is one for all.
func (p *Peer) Store() mesh.Store {
	if p.cfg.Shared {
		return nil
	}
	return remote{p}
}
