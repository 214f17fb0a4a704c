package node

import (
	"strings"
	"time"
	"unique"

	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// A keeping is the run that a slot has under way, if it is to be kept.
type keeping struct {
	on    bool
	began time.Duration // by the node's clock
	away  time.Duration // the slot's, when the run began
	given []packet.State
	out   []trace.Data
}

// begin is called before packet i of the batch runs. Most are not kept, so it
// has to cost next to nothing.
func (s *slot) begin(i int) {
	p := &s.batch[i]
	s.kept.on = p.Wish != nil || s.node.history.samples(p.Ship.Root)
	if s.kept.on {
		s.kept = keeping{on: true, began: s.node.clock.now(), away: s.away}
		s.timing = s.timing || s.host.inline // what it took is kept, its outputs not counted
	}
}

// gave notes an output of the run under way.
func (s *slot) gave(child *item) {
	k := &s.kept
	if len(k.given) < trace.MaxGiven {
		k.given = append(k.given, child.State)
	}
	wish := s.batch[s.emitting].Wish
	if wish == nil || !wish.Track || wish.Stop != s.host.name || len(k.out) >= trace.MaxGiven {
		return
	}
	k.out = append(k.out, *dataOf(&child.Packet))
}

// ran keeps the run of packet i, which is over. The time that takes is none of the
// seed's, whose cost would seem higher than what its other runs take.
func (s *slot) ran(i int, err error) {
	now := s.node.clock.now()
	defer func() { s.away += s.node.clock.now() - now }()
	began, away := s.now, time.Duration(0)
	if s.kept.on {
		began, away = s.kept.began, s.away-s.kept.away
	}
	r := s.host.runOf(&s.batch[i], err)
	r.At, r.Took = s.node.clock.at(began), max(now-began-away, 0)
	r.Given, r.Out = s.kept.given, s.kept.out
	if s.emitting == i {
		r.Gave = int(s.index)
	}
	if wish := s.batch[i].Wish; wish != nil {
		r.Stopped = err == nil && wish.Stop == s.host.name
		if wish.Track {
			r.Data = dataOf(&s.batch[i])
		}
	}
	s.kept = keeping{}
	if parent := s.untraced(i); parent != nil {
		s.node.cfg.Tracer.Ran(parent.Trace, s.batch[i].Wish.Trace, &r)
	}
	s.node.keep(&r, s.batch[i].Wish)
}

// keep adds a run to the history.
func (n *Node) keep(r *trace.Run, wish *packet.Wish) {
	if wish != nil {
		n.history.addAsked(*r)
	} else {
		n.history.add(*r)
	}
}

// runOf is a run of the seed on p, without what only a slot knows. It holds on
// to nothing of the frame that p came in.
func (h *host) runOf(p *packet.Packet, err error) trace.Run {
	r := trace.Run{
		Packet: p.ID, Ship: keptShip(p.Ship), Seed: h.name, Node: h.node.cfg.Name, At: time.Now(),
		State: unique.Make(p.State).Value(), Attempt: int(p.Attempt) + 1, Round: p.Round(), Sink: len(h.manifest.Contract.Out) == 0,
	}
	if err != nil {
		_, again := nextTry(&h.manifest, p, err, h.node.pauseAfter, time.Now())
		r.Error, r.Last = strings.Clone(brief(err.Error())), !again
	}
	return r
}

// bear keeps that a packet came in, from the injector of that name or, with "",
// from outside.
func (n *Node) bear(p *packet.Packet, injector string) {
	if p.Wish == nil && !n.history.samples(p.Ship.Root) {
		return
	}
	n.keep(&trace.Run{
		Packet: p.ID, Ship: keptShip(p.Ship), Born: true, Seed: injector, Node: n.cfg.Name, State: unique.Make(p.State).Value(), At: time.Now(),
		File: keptFile(p),
	}, p.Wish)
}

// maxKeptFile bounds what is kept of a file's name, in bytes.
const maxKeptFile = 255

// keptFile is the end of the name of the file that a packet was.
func keptFile(p *packet.Packet) string {
	name := p.Attributes()[packet.FileAttribute]
	return strings.Clone(strings.ToValidUTF8(name[max(len(name)-maxKeptFile, 0):], ""))
}

// keptShip is a ship that keeps no frame in memory.
func keptShip(s packet.Ship) packet.Ship {
	return packet.Ship{Root: s.Root, Node: unique.Make(s.Node).Value()}
}

// dataOf is what is kept of a packet's data.
func dataOf(p *packet.Packet) *trace.Data {
	if p.Blob != nil {
		return trace.OfBlob(*p.Blob)
	}
	return trace.HeadOf(p.Data, trace.MaxData)
}
