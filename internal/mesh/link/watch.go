package link

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/packet"
)

// A line is one of a watch.
type line struct {
	Hello   *Hello     `json:"hello,omitempty"`
	Session packet.ID  `json:"session,omitzero"`
	Card    *mesh.Card `json:"card,omitempty"`
	Peers   []Sighting `json:"peers,omitempty"`
}

// gossipPause is how long newly found addresses gather before they are passed
// on: when many nodes start at a time, each is then told of in a few lines.
const gossipPause = 250 * time.Millisecond

// watch answers a watch until it ends, and with it its session.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	who, err := helloOf(r)
	if err != nil {
		refuse(w, err)
		return
	}
	leave, err := s.visit(who, r)
	if who.Protocol != mesh.Protocol {
		if err == nil && leave != nil {
			leave()
		}
		s.refuseProtocol(w)
		return
	}
	if err != nil {
		refuse(w, err)
		return
	}
	if leave != nil {
		defer leave()
	}
	ses, err := s.open(r.Context(), who)
	if err != nil {
		refuse(w, err)
		return
	}
	defer s.close(ses)
	ses.store = s.cfg.Host.Serve(ses.ctx, who.Node, who.Boot)

	// The answer ends with an error of the stream rather than in a regular way,
	// for the other side does not care which.
	if err := s.tell(ses, w); err != nil && ses.ctx.Err() == nil {
		s.log.Debug("a node's watch broke", "node", who.Node, "error", err)
	}
}

// tell writes the lines of a watch until its session ends.
func (s *Server) tell(ses *session, w http.ResponseWriter) error {
	out := newPatient(w)
	write := func(text []byte) error {
		if _, err := out.Write(text); err != nil {
			return err
		}
		return out.Flush()
	}
	writeLine := func(l line) error {
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		return write(append(text, '\n'))
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	me := s.cfg.Hello()
	if err := writeLine(line{Hello: &me, Session: ses.id}); err != nil {
		return err
	}
	card, changed, err := s.card.get(s.cfg.Host)
	if err != nil {
		return err
	}
	if err := write(card); err != nil {
		return err
	}

	listener := listener{gossip: s.cfg.Gossip}
	tell := func(found []Sighting) error {
		if len(found) == 0 {
			return nil
		}
		return writeLine(line{Peers: found})
	}
	if err := tell(listener.news()); err != nil {
		return err
	}
	var soon <-chan time.Time // when gossip that has gathered goes out
	idle := time.NewTimer(beat)
	defer idle.Stop()
	again := time.NewTicker(gossipAgain)
	defer again.Stop()
	for {
		select {
		case <-ses.ctx.Done():
			return ses.ctx.Err()
		case <-changed:
			if card, changed, err = s.card.get(s.cfg.Host); err == nil {
				err = write(card)
			}
		case <-listener.more:
			listener.more, soon = nil, time.After(gossipPause)
			continue
		case <-soon:
			soon, err = nil, tell(listener.news())
		case <-again.C:
			err = tell(listener.all())
		case <-idle.C:
			err = write([]byte("{}\n"))
		}
		if err != nil {
			return err
		}
		idle.Reset(beat)
	}
}

// A listener is told of other nodes, as far as it was not told before.
type listener struct {
	gossip Gossip // nil knows of none
	mark   uint64
	more   <-chan struct{} // closed when there is news
}

// news are the nodes that it was not told of yet.
func (l *listener) news() (found []Sighting) {
	if l.gossip != nil {
		found, l.mark, l.more = l.gossip.Since(l.mark)
	}
	return found
}

// all are all nodes, those included that it was told of.
func (l *listener) all() []Sighting {
	l.mark = 0
	return l.news()
}
