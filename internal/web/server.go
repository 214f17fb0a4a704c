// Package web is the node's HTTP interface, under /api/v1, and the client that
// uses it. pmk itself reaches it over the node's Unix socket, which the mode of its
// folder protects; other nodes reach it over their connection to this one, and
// browsers and scripts over the address of --http, behind package front. The routes
// are described in openapi.json; these are the most used:
//
//	GET  /api/v1/status    what the node does, as a [node.Status] in JSON
//	POST /api/v1/packets   packets to inject: a [Parcel] in JSON, many of them as
//	                       application/x-ndjson, or, as
//	                       application/octet-stream, the data of one, whose
//	                       Parcel is in the query: ?parcel={"state": ...}
//	GET  /api/v1/waiting/{state}?limit=N
//	                       the packets that wait in the state, oldest first, as
//	                       a stream of .pkt files
//	POST /api/v1/retry     send a [node.Selection] of waiting packets on again
//	GET  /api/v1/ledgers/{id}
//	                       what became of the packets that are followed under
//	                       this id, as a [node.Ledger]; DELETE forgets it
//	GET  /api/v1/trace/{id}
//	                       the family of a packet or a ship over all nodes, as
//	                       a [trace.Trace]; the id may be abbreviated.
//	                       /share after it: what this node knows, as a
//	                       [trace.Share]
//	POST /api/v1/drop      end a selection of waiting packets
//	POST /api/v1/backup    copy what is stored into a folder, as a [BackupOrder]
//	                       says; through the socket alone
//
// For the whole network, which the node answers by asking the others:
//
//	GET  /api/v1/network   every node's status, as a [Network]
//	GET  /api/v1/network/waiting/{state}?limit=N
//	POST /api/v1/network/retry, /api/v1/network/drop
//
// And for Prometheus, GET /metrics; see package metrics.
//
// Errors are problem documents (RFC 9457).
package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/web/metrics"
	"github.com/recap/pumpkin/packet"
)

// A Parcel is one packet on its way into a node: its data is Text or Data.
type Parcel struct {
	ID    packet.ID    `json:"id,omitzero"`
	State packet.State `json:"state"`
	Text  *string      `json:"data,omitempty"`
	Data  []byte       `json:"data64,omitzero"` // base64
	Stop  string       `json:"stop,omitempty"`
	Goal  packet.State `json:"goal,omitempty"`
	Track bool         `json:"track,omitempty"`
	// Traceparent is where it belongs in a trace (W3C Trace Context); "" is
	// what the request's header of that name says.
	Traceparent string `json:"traceparent,omitempty"`
	// Follow names a ledger in which the packet's descendants are written
	// down.
	Follow packet.ID `json:"follow,omitzero"`
}

// A Receipt says how many of the packets that were sent are in.
type Receipt struct {
	Taken int `json:"taken"`
}

// A Problem is an error as it goes over the wire (RFC 9457). Taken counts the
// packets that were in, retried or dropped before it happened.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Taken  int    `json:"taken"`
	// Missing names the states and ids that no waiting packet has.
	Missing []string `json:"missing,omitempty"`
}

func (p *Problem) Error() string { return p.Detail }

// Config says what is served.
type Config struct {
	Node *node.Node
	// Outsiders lists the nodes that were seen and are not reached; nil is none.
	Outsiders func() []mesh.Outsider
	// Ignored counts what came from strangers; nil is not known.
	Ignored func() mesh.Ignored
	// Backup copies what the node has stored into a folder; nil refuses.
	Backup func(ctx context.Context, dir string, report func(BackupState)) (BackupState, error)
	// Page serves what is not the API, for people; nil serves a text that names
	// the API's description.
	Page http.Handler
}

// Handler serves a node.
func Handler(cfg Config) http.Handler {
	return routes(cfg)
}

// A router is a mux that knows what is registered with it.
type router struct {
	http.ServeMux
	patterns []string
}

func (r *router) HandleFunc(pattern string, handle func(http.ResponseWriter, *http.Request)) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.HandleFunc(pattern, handle)
}

func routes(cfg Config) *router {
	n := cfg.Node
	mux := new(router)
	network := &network{Config: cfg}
	mux.HandleFunc("GET /api/v1/network", network.look)
	mux.HandleFunc("GET /api/v1/network/waiting/{state}", network.show)
	mux.HandleFunc("POST /api/v1/network/retry", func(w http.ResponseWriter, r *http.Request) { network.handle(w, r, n.Retry, (*Client).Retry) })
	mux.HandleFunc("POST /api/v1/network/drop", func(w http.ResponseWriter, r *http.Request) { network.handle(w, r, n.Drop, (*Client).Drop) })
	mux.HandleFunc("GET /api/v1/trace/{id}", network.trace)
	mux.HandleFunc("GET /api/v1/trace/{id}/share", func(w http.ResponseWriter, r *http.Request) { share(w, r, n) })
	mux.HandleFunc("GET /metrics", metrics.Handler(n, cfg.Ignored, cfg.Outsiders).ServeHTTP)
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, "application/json", n.Status(r.Context()))
	})
	mux.HandleFunc("POST /api/v1/packets", func(w http.ResponseWriter, r *http.Request) {
		ctx, end := taking(r, n)
		defer end()
		var taken int
		var err error
		switch kind := kindOf(r); kind {
		case rawData:
			taken, err = injectRaw(ctx, r, n)
		case linesType:
			taken, err = inject(ctx, n, r.Body, traceparent(r))
		case packetType, "application/json":
			taken, err = injectOne(ctx, w, r, n)
		default:
			refuse(w, http.StatusUnsupportedMediaType, 0, fmt.Errorf("a body of the type %q; expected one packet as %s, or many, one a line, as %s; a body of any type that is the data goes to /api/v1/states/STATE/packets", kind, packetType, linesType))
			return
		}
		if err = heldBack(ctx, err); err != nil {
			if kindOf(r) == linesType && errors.As(err, new(*heldError)) {
				err = fmt.Errorf("%w; the first %d packets are taken, of those after them some may be: send them again with an id each, and none is taken twice", err, taken)
			}
			notTaken(w, taken, err)
			return
		}
		reply(w, http.StatusOK, "application/json", Receipt{Taken: taken})
	})
	mux.HandleFunc("GET /api/v1/waiting/{state}", func(w http.ResponseWriter, r *http.Request) { show(w, r, n) })
	mux.HandleFunc("POST /api/v1/retry", func(w http.ResponseWriter, r *http.Request) { handle(w, r, n.Retry) })
	mux.HandleFunc("POST /api/v1/drop", func(w http.ResponseWriter, r *http.Request) { handle(w, r, n.Drop) })
	mux.HandleFunc("GET /api/v1/ledgers/{id}", func(w http.ResponseWriter, r *http.Request) { ledger(w, r, n) })
	mux.HandleFunc("DELETE /api/v1/ledgers/{id}", func(w http.ResponseWriter, r *http.Request) { ledger(w, r, n) })
	restRoutes(mux, network)
	pauseRoutes(mux, network)
	forgetRoutes(mux, network)
	backupRoute(mux, cfg.Backup)
	healthRoutes(mux, n)
	eventRoutes(mux, network)
	mux.HandleFunc("GET /api/v1/openapi.json", openAPI)
	if cfg.Page != nil {
		mux.Handle("GET /", cfg.Page)
		mux.Handle("GET /api/", http.HandlerFunc(nothing))
	} else {
		mux.HandleFunc("GET /{$}", hello)
	}
	mux.HandleFunc("/", nothing)
	return mux
}

// nothing is what stands where nothing is.
func nothing(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusNotFound, 0, fmt.Errorf("there is no %s %s", r.Method, r.URL.Path))
}

// defaultShown is how many waiting packets are shown to who asks for no number.
const defaultShown = 100

// Shown is a packet that waits.
type Shown struct {
	// Node is where it waits.
	Node string      `json:"node"`
	File packet.File `json:"packet"`
	// Large is the size in bytes of data that is too large to be shown.
	Large int64 `json:"large,omitempty"`
}

// show streams what waits in a state.
func show(w http.ResponseWriter, r *http.Request, n *node.Node) {
	state, limit, ok := asked(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if _, err := encode(json.NewEncoder(w), r.Context(), n, state, limit); err != nil {
		panic(http.ErrAbortHandler) // the answer has begun: cutting it off is all that can tell
	}
}

// encode writes what waits in a state of n, and returns how many more there may
// be of limit.
func encode(enc *json.Encoder, ctx context.Context, n *node.Node, state packet.State, limit int) (int, error) {
	err := n.Show(ctx, state, func(p packet.Packet) bool {
		limit--
		shown := Shown{Node: n.Name(), File: packet.File{Packet: p, Group: n.Group()}}
		if p.Blob != nil {
			shown.Large = p.Blob.Size
		}
		return enc.Encode(shown) == nil && limit > 0
	})
	return limit, err
}

// asked reads what is to be shown, and refuses what cannot be.
func asked(w http.ResponseWriter, r *http.Request) (state packet.State, limit int, ok bool) {
	state, err := packet.ParseState(r.PathValue("state"))
	limit = defaultShown
	if text := r.URL.Query().Get("limit"); text != "" && err == nil {
		if limit, err = strconv.Atoi(text); err == nil && limit < 1 {
			err = fmt.Errorf("limit=%d: expected at least 1", limit)
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
	}
	return state, limit, err == nil
}

// A Ledger is a [node.Ledger] with how many stays are over.
type Ledger struct {
	node.Ledger
	Ended int `json:"ended"`
}

// ledger sums up a ledger, or forgets it and gives what it was.
func ledger(w http.ResponseWriter, r *http.Request, n *node.Node) {
	id, err := packet.ParseID(r.PathValue("id"))
	if err != nil {
		refuse(w, http.StatusBadRequest, 0, err)
		return
	}
	sum, err := n.Ledger(r.Context(), id)
	if err == nil && r.Method == http.MethodDelete {
		err = n.Forget(r.Context(), id)
	}
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, 0, err)
		return
	}
	reply(w, http.StatusOK, "application/json", Ledger{sum, sum.Ended()})
}

// A Handled says how many packets were retried or dropped.
type Handled struct {
	Count int `json:"count"`
}

// handle does something to a selection of waiting packets.
func handle(w http.ResponseWriter, r *http.Request, do func(context.Context, node.Selection) (int, error)) {
	sel, ok := readSelection(w, r)
	if !ok {
		return
	}
	count, err := do(r.Context(), sel)
	handled(w, count, err)
}

// readSelection reads which packets are meant, and refuses what cannot be.
func readSelection(w http.ResponseWriter, r *http.Request) (sel node.Selection, ok bool) {
	err := readOne(http.MaxBytesReader(w, r.Body, maxSelection), &sel)
	switch {
	case err == nil:
		return sel, true
	case tooLarge(err):
		refuse(w, http.StatusRequestEntityTooLarge, 0, fmt.Errorf("a selection: %w", err))
	default:
		refuse(w, http.StatusBadRequest, 0, fmt.Errorf("a selection: %w", err))
	}
	return sel, false
}

// tooLarge tells whether it was given up to read something, since it is too much.
func tooLarge(err error) bool {
	var body *http.MaxBytesError
	return errors.Is(err, store.ErrTooLarge) || errors.As(err, &body)
}

// handled answers that count packets were retried or dropped before err.
func handled(w http.ResponseWriter, count int, err error) {
	var missing *node.NotWaitingError
	switch {
	case err == nil:
		reply(w, http.StatusOK, "application/json", Handled{Count: count})
	case errors.As(err, &missing):
		reply(w, http.StatusNotFound, problemType, Problem{
			Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: err.Error(), Taken: count, Missing: missing.Names,
		})
	default:
		refuse(w, http.StatusServiceUnavailable, count, err)
	}
}

const problemType = "application/problem+json"

// parcelHead is how many bytes of a parcel may be other than its data.
const parcelHead = 64 << 10

// maxSelection is the most bytes of a selection.
const maxSelection = 16 << 20

// injectRaw takes one packet whose data is the body.
func injectRaw(ctx context.Context, r *http.Request, n *node.Node) (taken int, err error) {
	var parcel Parcel
	if err := readOne(strings.NewReader(r.URL.Query().Get("parcel")), &parcel); err != nil {
		return 0, fmt.Errorf("the query's parcel: %w; a body that is the data of any packet goes to /api/v1/states/STATE/packets", err)
	}
	if parcel.Text != nil || parcel.Data != nil {
		return 0, errors.New("the query's parcel has data, and so has the body; expected it there")
	}
	return injectFrom(ctx, r, n, parcel, r.Body, r.ContentLength)
}

// injectOne takes one packet in JSON.
func injectOne(ctx context.Context, w http.ResponseWriter, r *http.Request, n *node.Node) (taken int, err error) {
	var parcel Parcel
	if err := readOne(http.MaxBytesReader(w, r.Body, n.MaxData()/3*4+parcelHead), &parcel); err != nil {
		return 0, fmt.Errorf("the packet: %w", err)
	}
	text, err := contentOf(parcel.Text, parcel.Data)
	if err != nil {
		return 0, err
	}
	return injectFrom(ctx, r, n, parcel, strings.NewReader(text), int64(len(text)))
}

func injectFrom(ctx context.Context, r *http.Request, n *node.Node, parcel Parcel, data io.Reader, size int64) (taken int, err error) {
	parcel.Traceparent = cmp.Or(parcel.Traceparent, traceparent(r))
	p, err := parcel.packet()
	if err != nil {
		return 0, err
	}
	if err := n.InjectData(ctx, p, data, size); err != nil {
		return 0, err
	}
	return 1, nil
}

// maxUnsafe is how many packets of a request may be on their way to the store: of those
// before it is known that they are there.
const maxUnsafe = 1024

// inject takes packets until the end of body, and returns how many of the first are
// as safe as the node makes them. If that is not all that were put, the error says so.
func inject(ctx context.Context, n *node.Node, body io.Reader, traceparent string) (taken int, err error) {
	in := n.Intake()
	from := &bodyReader{Reader: body}
	put := 0
	err = eachParcel(from, n.MaxData(), traceparent, func(p packet.Packet) error {
		if err := in.Put(ctx, p); err != nil {
			return err
		}
		if put++; put-taken < maxUnsafe {
			return nil
		}
		err := in.Flush(ctx)
		if err == nil {
			taken = put
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("packet %d: %w", put+1, err)
	}
	ctx, gone := context.WithCancel(ctx)
	defer gone()
	if from.err != nil {
		gone() // nobody waits for an answer: what is not stored yet is not sent
	}
	if unsafe := in.Flush(ctx); unsafe != nil {
		return taken, errors.Join(err, unsafe)
	}
	return put, err
}

// A bodyReader remembers why it could not be read to its end.
type bodyReader struct {
	io.Reader
	err error
}

func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// eachParcel gives the packets in body to take, until its end or an error.
func eachParcel(body io.Reader, maxData int64, traceparent string, take func(packet.Packet) error) error {
	// A parcel is decoded whole: its data in base64, and what else it says.
	most := maxData/3*4 + parcelHead
	limited := &io.LimitedReader{R: body, N: most}
	dec := json.NewDecoder(limited)
	dec.DisallowUnknownFields()
	for {
		limited.N = most
		var parcel Parcel
		if err := dec.Decode(&parcel); err == io.EOF {
			return nil
		} else if err != nil && limited.N <= 0 {
			return fmt.Errorf("%w: at most %d bytes are allowed (--max-packet)", store.ErrTooLarge, maxData)
		} else if err != nil {
			return err
		}
		parcel.Traceparent = cmp.Or(parcel.Traceparent, traceparent)
		p, err := parcel.packet()
		if err == nil {
			p.Data, err = contentOf(parcel.Text, parcel.Data)
		}
		if err == nil {
			err = take(p)
		}
		if err != nil {
			return err
		}
	}
}

// packet is the packet without its data.
func (parcel Parcel) packet() (packet.Packet, error) {
	p := packet.Packet{ID: parcel.ID, State: parcel.State}
	if _, err := packet.ParseState(string(p.State)); err != nil {
		return p, err
	}
	if parcel.Goal != "" {
		if _, err := packet.ParseState(string(parcel.Goal)); err != nil {
			return p, fmt.Errorf("goal: %w", err)
		}
	}
	if parcel.Stop != "" {
		if err := packet.CheckName("stop", parcel.Stop); err != nil {
			return p, err
		}
	}
	wish := packet.Wish{Stop: parcel.Stop, Goal: parcel.Goal, Track: parcel.Track, Follow: parcel.Follow}
	if parcel.Traceparent != "" {
		place, err := packet.ParseTraceparent(parcel.Traceparent)
		if err != nil {
			return p, err
		}
		wish.Trace = place
	}
	if wish != (packet.Wish{}) {
		p.Wish = &wish
	}
	return p, nil
}

// traceparent is what a request says of the trace that it belongs to. One that
// is not in order counts as none, as the W3C asks.
func traceparent(r *http.Request) string {
	place, err := packet.ParseTraceparent(r.Header.Get("Traceparent"))
	if err != nil {
		return ""
	}
	return place.String()
}

func refuse(w http.ResponseWriter, status, taken int, err error) {
	reply(w, status, problemType, Problem{
		Title: http.StatusText(status), Status: status, Detail: err.Error(), Taken: taken,
	})
}

func reply(w http.ResponseWriter, status int, kind string, body any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // an error here is the client's going away
}

// Serve answers on l until ctx ends; requests under way then have a second to
// finish. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	<-done
	return nil
}
