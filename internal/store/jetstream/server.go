package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

// An engine is one run of the embedded server. After the server gave up there
// is another; what is bound to one, such as the subject to acknowledge a
// message on, means nothing to the next.
type engine struct {
	srv *server.Server
	nc  *nats.Conn
	// reader is for reading frames: the server answers while it takes no other
	// word of the connection, and may have to wait for the disk for that.
	reader *nats.Conn
	group  string
	kind   server.StorageType

	ctx  context.Context // ends with the engine
	stop context.CancelFunc

	wg sync.WaitGroup

	mu     sync.Mutex
	places map[store.Place]*place
}

// A place is what an engine knows of a stream.
type place struct {
	name   store.Place
	stream string

	make     sync.Mutex // held while the stream is made
	first    uint64     // the number its first frame gets; 0 is 1
	made     bool       // the stream exists; guarded by make
	subjects sync.Map   // packets -> subject
}

const (
	serverName = "pmk"
	// ready is how long the server may take to read its folder.
	ready = 60 * time.Second
	// callWait bounds one call of the server's interface.
	callWait = 10 * time.Second
	// readQueue is how many messages a subscription holds that nobody has taken;
	// the library's own number is 65,536, and makes room for them at every read.
	readQueue = 2 * maxBatch
	// unbounded is the limit the server gets: the store counts for itself,
	// because the server's limits are reserved, not used.
	unbounded = 1 << 60
)

// startEngine runs a server on the folder and connects to it.
func startEngine(ctx context.Context, dir, group string, memory bool, log server.Logger, fatal func() error) (*engine, error) {
	opts := &server.Options{
		ServerName: serverName,
		DontListen: true,
		NoSigs:     true,
		NoLog:      true,
		JetStream:  true,
		StoreDir:   filepath.Join(dir, serverDir),
		// One more than the largest frame, and room for headers.
		MaxPayload:             store.MaxFrame + 64<<10,
		JetStreamMaxMemory:     unbounded,
		JetStreamMaxStore:      unbounded,
		SyncAlways:             !memory,
		DisableJetStreamBanner: true,
		// The only client is this process: what it does not read is bounded
		// by what it asked for, so being slow is no reason to be thrown out.
		MaxPending:    1 << 30,
		WriteDeadline: time.Minute,
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("start the embedded server: %w", err)
	}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	// A server that cannot use its folder says so in its log only.
	up := make(chan bool, 1)
	go func() { up <- srv.ReadyForConnections(ready) }()
	select {
	case <-ctx.Done():
		srv.Shutdown()
		<-up
		srv.WaitForShutdown()
		return nil, ctx.Err()
	case ok := <-up:
		if err := fatal(); err != nil || !ok || !srv.JetStreamEnabled() {
			srv.Shutdown()
			srv.WaitForShutdown()
			if err == nil {
				err = errors.New("it gave no reason")
			}
			return nil, fmt.Errorf("the embedded server does not start: %w", err)
		}
	}
	e := &engine{srv: srv, group: group, kind: server.FileStorage, places: map[store.Place]*place{}}
	for _, nc := range []**nats.Conn{&e.nc, &e.reader} {
		*nc, err = nats.Connect("", nats.InProcessServer(srv), nats.Name("pmk store"), nats.SyncQueueLen(readQueue),
			nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.Timeout(10*time.Second))
		if err != nil {
			srv.Shutdown()
			srv.WaitForShutdown()
			return nil, fmt.Errorf("connect to the embedded server: %w", err)
		}
	}
	if memory {
		e.kind = server.MemoryStorage
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e, nil
}

// close ends the connection and the server.
func (e *engine) close() error {
	err := e.nc.FlushTimeout(time.Second)
	if !e.srv.JetStreamEnabled() {
		err = nil // that it does not answer is known
	}
	e.stop()
	e.wg.Wait()
	e.nc.Close()
	e.reader.Close()
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
	return err
}

// alive tells whether the server still stores anything.
func (e *engine) alive() bool { return e.srv.JetStreamEnabled() }

// place is the record of a place, which need not exist.
func (e *engine) place(at store.Place) *place {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.places[at]
	if p == nil {
		p = &place{name: at, stream: layout.StreamName(at)}
		e.places[at] = p
	}
	return p
}

// call asks the server's interface. The answer is decoded into resp.
func (e *engine) call(ctx context.Context, subj string, req, resp any) error {
	var body []byte
	if req != nil {
		var err error
		if body, err = json.Marshal(req); err != nil {
			return fmt.Errorf("encode a request: %w", err)
		}
	}
	msg, err := e.request(ctx, subj, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(msg.Data, resp); err != nil {
		return fmt.Errorf("read the server's answer on %s: %w", subj, err)
	}
	return nil
}

// request asks and waits, as long as the engine lives.
func (e *engine) request(ctx context.Context, subj string, body []byte) (*nats.Msg, error) {
	return e.ask(ctx, e.nc, subj, body)
}

// ask is request over one of the connections.
func (e *engine) ask(ctx context.Context, nc *nats.Conn, subj string, body []byte) (*nats.Msg, error) {
	both, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	msg, err := nc.RequestWithContext(both, subj, body)
	switch {
	case err == nil:
		return msg, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case e.ctx.Err() != nil || !e.alive():
		return nil, errDown
	}
	return nil, fmt.Errorf("ask the embedded server: %w", err)
}

// errDown is a request to a server that went meanwhile.
var errDown = errors.New("the embedded server stopped")

// apiError is the server's error as one of Go.
func apiError(e *server.ApiError) error {
	if e == nil {
		return nil
	}
	return e
}

// isCode tells whether err is the server's error with this number.
func isCode(err error, codes ...server.ErrorIdentifier) bool {
	var api *server.ApiError
	if !errors.As(err, &api) {
		return false
	}
	for _, c := range codes {
		if api.ErrCode == uint16(c) {
			return true
		}
	}
	return false
}
