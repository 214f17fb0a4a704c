package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
)

const (
	// loadTime is how often the events of the network tell how the nodes do.
	loadTime = time.Second
	// pingTime is how seldom a stream is silent: a reader that has gone is noticed.
	pingTime = 15 * time.Second
	// writeTime is how long a reader may take nothing.
	writeTime = 30 * time.Second
	// maxMissed is how many views a reader may miss before it is given all of the
	// network anew.
	maxMissed = 8
)

// eventRoutes are the streams of events.
func eventRoutes(mux *router, net *network) {
	feed := &feed{net: net}
	mux.HandleFunc("GET /api/v1/events", func(w http.ResponseWriter, r *http.Request) { statusEvents(w, r, net) })
	mux.HandleFunc("GET /api/v1/network/events", func(w http.ResponseWriter, r *http.Request) { networkEvents(w, r, feed) })
}

// A stream sends server-sent events.
type stream struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	last time.Time
}

func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for a proxy that would gather
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, ctl: http.NewResponseController(w)}
}

// send sends one event.
func (s *stream) send(event string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return s.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, data))
}

// ping sends nothing, if nothing was sent for long.
func (s *stream) ping() error {
	if time.Since(s.last) < pingTime {
		return nil
	}
	return s.write([]byte(":\n\n"))
}

func (s *stream) write(text []byte) error {
	if err := s.ctl.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	s.last = time.Now()
	return s.ctl.Flush()
}

// statusEvents sends what this node does whenever it is another than before. A slow
// reader gets fewer of them: each is made when there is room for it.
func statusEvents(w http.ResponseWriter, r *http.Request, net *network) {
	n := net.Node
	out := newStream(w)
	tick := time.NewTicker(feedTime)
	defer tick.Stop()
	var before []byte
	for {
		st := StatusOf(n.Status(r.Context()))
		used := st.Load.CPUTime
		st.Load.CPUTime = 0 // alone it is no news
		now, err := json.Marshal(st)
		if err == nil && (!bytes.Equal(now, before) || time.Since(out.last) >= api.StatusTime) {
			before, st.Load.CPUTime = now, used
			err = out.send(api.StatusEvent, st)
		}
		if err != nil {
			return // the reader has gone
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-n.Ended():
			return
		}
	}
}

// networkEvents sends what happens in the network.
func networkEvents(w http.ResponseWriter, r *http.Request, feed *feed) {
	if !feed.join() {
		refuse(w, http.StatusServiceUnavailable, 0, fmt.Errorf("%d readers have the events of this node already; ask another node, or close one", maxReaders))
		return
	}
	defer feed.leave()
	reader := reader{out: newStream(w)}
	ping := time.NewTicker(pingTime)
	defer ping.Stop()
	for {
		now, later := feed.latest()
		err := reader.show(now)
		if err == nil {
			err = reader.out.ping()
		}
		if err != nil {
			return // the reader has gone
		}
		select {
		case <-later:
		case <-ping.C:
		case <-r.Context().Done():
			return
		case <-feed.net.Node.Ended():
			return
		}
	}
}

// A reader is who reads the events of the network, and what it was told so far.
type reader struct {
	out    *stream
	before *view
	loads  time.Time // when it was told how the nodes do
}

// show tells the reader what is new in a view.
func (r *reader) show(now *view) error {
	before := r.before
	if now == nil || now == before {
		return nil
	}
	r.before = now
	if before == nil || now.number-before.number > maxMissed {
		r.loads = now.at
		return r.out.send(api.NetworkEvent, &now.Network)
	}
	if list := sum.Changes(&before.Network, &now.Network); len(list) > 0 {
		if err := r.out.send(api.ChangesEvent, api.Changes{At: now.at, Changes: list}); err != nil {
			return err
		}
	}
	if now.shape != before.shape {
		r.loads = now.at
		return r.out.send(api.NetworkEvent, &now.Network)
	}
	c := sum.Counters(&before.Network, &now.Network)
	c.At = now.at
	if now.at.Sub(r.loads) >= loadTime {
		r.loads, c.Nodes = now.at, sum.Loads(&now.Network)
	}
	if len(c.Seeds)+len(c.States)+len(c.Nodes) == 0 {
		return nil
	}
	return r.out.send(api.CountersEvent, c)
}
