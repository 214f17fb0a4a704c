package link

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/packet"
)

// A Gossip knows where nodes are reached. It is safe for concurrent use.
type Gossip interface {
	// Since gives what was learnt after the mark, at most [MaxPeers], the mark
	// of the last of it, and a channel that is closed when there is more. The
	// first mark is 0.
	Since(mark uint64) (found []Sighting, next uint64, more <-chan struct{})
}

// A ServerConfig says what a [Server] serves.
type ServerConfig struct {
	Host mesh.Host
	// Hello is who this node is.
	Hello func() Hello
	// Visit is told of each node that begins a watch, and from where: the zero
	// address is this machine. What it gives is called when the watch has ended.
	// An error refuses the node; one that is to be told apart wraps [ErrSelf] or
	// [ErrRefused]. A node of another protocol is only told, and always refused.
	// nil lets everybody in.
	Visit func(who Hello, from netip.AddrPort) (leave func(), err error)
	// Gossip may be nil.
	Gossip Gossip
	// API answers what is not between nodes; nil answers nothing.
	API http.Handler
	Log *slog.Logger // nil means slog.Default
}

// A Server is the side of a connection that was reached. It is safe for
// concurrent use.
type Server struct {
	cfg  ServerConfig
	log  *slog.Logger
	mux  *http.ServeMux
	card cardLine

	ctx context.Context // of all sessions
	end context.CancelFunc

	mu       sync.Mutex
	ended    bool
	sessions map[packet.ID]*session
	under    sync.WaitGroup // requests between nodes that are under way
}

// NewServer makes a server. It starts nothing.
func NewServer(cfg ServerConfig) *Server {
	s := &Server{cfg: cfg, log: cmp.Or(cfg.Log, slog.Default()), mux: http.NewServeMux(), sessions: map[packet.ID]*session{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.mux.HandleFunc("GET "+current+"watch", s.watch)
	s.mux.HandleFunc("POST "+current+"frames", s.within(frames))
	s.mux.HandleFunc("POST "+current+"append", s.within(appendFrame))
	s.mux.HandleFunc("GET "+current+"blobs/{sum}", s.within(getBlob))
	s.mux.HandleFunc("PUT "+current+"blobs/{sum}", s.within(putBlob))
	s.mux.HandleFunc("DELETE "+current+"blobs/{sum}", s.within(dropBlob))
	s.mux.HandleFunc(root, s.unknown)
	if cfg.API != nil {
		s.mux.Handle("/", cfg.API)
	}
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, root) {
		s.mu.Lock()
		if s.ended {
			s.mu.Unlock()
			refuse(w, fmt.Errorf("the node ends: %w", errSession))
			return
		}
		s.under.Add(1)
		s.mu.Unlock()
		defer s.under.Done()
	}
	s.mux.ServeHTTP(w, r)
}

// End ends all sessions, and waits until nothing of them goes on. It may be
// called more than once.
func (s *Server) End() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.end()
	s.under.Wait()
}

// Sessions counts the watches that are answered.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// unknown answers what protocol 2 does not have, and tells those who speak
// another from those who are wrong.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, current) {
		refuse(w, fmt.Errorf("%w: there is no %s %s", errBad, r.Method, r.URL.Path))
		return
	}
	if who, err := helloOf(r); err == nil && who.Protocol != mesh.Protocol {
		s.visit(who, r)
	}
	s.refuseProtocol(w)
}

// refuseProtocol says which protocol this node speaks.
func (s *Server) refuseProtocol(w http.ResponseWriter) {
	me := s.cfg.Hello()
	reply(w, http.StatusUpgradeRequired, problem{Kind: "protocol", Detail: fmt.Sprintf("this node speaks protocol %d", me.Protocol), Hello: &me})
}

// visit tells the circle who is there.
func (s *Server) visit(who Hello, r *http.Request) (leave func(), err error) {
	if s.cfg.Visit == nil {
		return func() {}, nil
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		from = netip.AddrPort{} // a Unix socket has no address
	}
	return s.cfg.Visit(who, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
}

// helloOf reads who sent a request.
func helloOf(r *http.Request) (Hello, error) {
	var who Hello
	text := r.Header.Get(headerHello)
	if err := json.Unmarshal([]byte(text), &who); err != nil {
		return who, fmt.Errorf("%w: the header %s: %w", errBad, headerHello, err)
	}
	if err := who.check(); err != nil {
		return who, fmt.Errorf("%w: the header %s: %w", errBad, headerHello, err)
	}
	return who, nil
}

// within serves requests of a session with the session, and with a context that
// ends with the session and the request, whichever is first.
func (s *Server) within(serve func(*session, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := packet.ParseID(r.Header.Get(headerSession))
		if err != nil {
			refuse(w, fmt.Errorf("%w: the header %s: %w", errBad, headerSession, err))
			return
		}
		s.mu.Lock()
		ses := s.sessions[id]
		s.mu.Unlock()
		if ses == nil || ses.ctx.Err() != nil {
			refuse(w, errSession)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(ses.ctx, cancel)()
		serve(ses, w, r.WithContext(ctx))
	}
}

// open begins a session, whose context ends with ctx or with the server.
func (s *Server) open(ctx context.Context, who Hello) (*session, error) {
	ctx, cancel := context.WithCancel(ctx)
	ses := &session{server: s, id: packet.NewID(), who: who, ctx: ctx, cancel: cancel, pulls: map[uint64]*pull{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= maxSessions {
		cancel()
		return nil, errors.New("too many nodes watch this one")
	}
	ses.stop = context.AfterFunc(s.ctx, cancel)
	s.sessions[ses.id] = ses
	return ses, nil
}

// close ends a session.
func (s *Server) close(ses *session) {
	ses.cancel()
	ses.stop()
	s.mu.Lock()
	delete(s.sessions, ses.id)
	s.mu.Unlock()
}

// A cardLine is the node's card as a line of a watch, made once for all watches.
type cardLine struct {
	mu      sync.Mutex
	changed <-chan struct{} // of the card in text
	text    []byte
}

// get gives the line and a channel that is closed when there is another.
func (c *cardLine) get(h mesh.Host) ([]byte, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The channel first: a change in between then shows as another channel.
	changed := h.Changed()
	if changed == c.changed {
		return c.text, changed, nil
	}
	card := h.Card()
	text, err := json.Marshal(line{Card: &card})
	if err != nil {
		return nil, nil, err
	}
	if len(text)+1 > maxLine {
		return nil, nil, fmt.Errorf("the node's card has %d bytes; at most %d fit", len(text), maxLine-1)
	}
	c.text, c.changed = append(text, '\n'), changed
	return c.text, changed, nil
}
