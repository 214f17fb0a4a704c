// Package web is the node's HTTP interface, under /api/v1. For now it is
// served on the node's Unix socket alone, where pmk itself uses it: the file
// mode of the socket is its protection.
//
//	GET  /api/v1/status    what the node does, as a [node.Status] in JSON
//	POST /api/v1/packets   packets to inject: a stream of [Parcel] in JSON
//
// Errors are problem documents (RFC 9457).
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// A Parcel is one packet on its way into a node.
type Parcel struct {
	ID    packet.ID    `json:"id,omitzero"`
	State packet.State `json:"state"`
	Data  []byte       `json:"data"` // base64
	Stop  string       `json:"stop,omitempty"`
	Goal  packet.State `json:"goal,omitempty"`
	Track bool         `json:"track,omitempty"`
}

// A Receipt says how many of the packets that were sent are in.
type Receipt struct {
	Taken int `json:"taken"`
}

// A Problem is an error as it goes over the wire (RFC 9457). Taken counts the
// packets that were in before it happened.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Taken  int    `json:"taken"`
}

func (p *Problem) Error() string { return p.Detail }

// Handler serves n.
func Handler(n *node.Node) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, "application/json", n.Status())
	})
	mux.HandleFunc("POST /api/v1/packets", func(w http.ResponseWriter, r *http.Request) {
		taken, err := inject(r.Context(), n, r.Body)
		switch {
		case err == nil:
			reply(w, http.StatusOK, "application/json", Receipt{Taken: taken})
		case errors.Is(err, node.ErrDraining):
			refuse(w, http.StatusServiceUnavailable, taken, err)
		default:
			refuse(w, http.StatusBadRequest, taken, err)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, 0, fmt.Errorf("there is no %s %s", r.Method, r.URL.Path))
	})
	return mux
}

func inject(ctx context.Context, n *node.Node, body io.Reader) (taken int, err error) {
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	for {
		var parcel Parcel
		if err := dec.Decode(&parcel); err == io.EOF {
			return taken, nil
		} else if err != nil {
			return taken, fmt.Errorf("packet %d: %w", taken+1, err)
		}
		p, err := parcel.packet()
		if err == nil {
			err = n.Inject(ctx, p)
		}
		if err != nil {
			return taken, fmt.Errorf("packet %d: %w", taken+1, err)
		}
		taken++
	}
}

func (parcel Parcel) packet() (packet.Packet, error) {
	p := packet.Packet{ID: parcel.ID, State: parcel.State, Data: string(parcel.Data)}
	if _, err := packet.ParseState(string(p.State)); err != nil {
		return p, err
	}
	if parcel.Goal != "" {
		if _, err := packet.ParseState(string(parcel.Goal)); err != nil {
			return p, fmt.Errorf("goal: %w", err)
		}
	}
	if parcel.Stop != "" || parcel.Goal != "" || parcel.Track {
		p.Wish = &packet.Wish{Stop: parcel.Stop, Goal: parcel.Goal, Track: parcel.Track}
	}
	return p, nil
}

func refuse(w http.ResponseWriter, status, taken int, err error) {
	reply(w, status, "application/problem+json", Problem{
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
