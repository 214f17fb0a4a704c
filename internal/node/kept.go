package node

import (
	"strings"
	"time"
	"unique"

	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// A keeping is what is to be kept of a packet's run that is under way.
type keeping struct {
	on    bool
	began time.Duration // by the node's clock
	away  time.Duration // the caller's, when the run began
	given []packet.State
	out   []trace.Data
}

// gave notes an output of the run, to a packet with that wish.
func (k *keeping) gave(child *packet.Packet, wish *packet.Wish, seed string) {
	if len(k.given) < trace.MaxGiven {
		k.given = append(k.given, child.State)
	}
	if wish == nil || !wish.Track || wish.Stop != seed || len(k.out) >= trace.MaxGiven {
		return
	}
	k.out = append(k.out, *dataOf(child))
}

// keep adds a run to the history.
func (f *flow) keep(r *trace.Run, wish *packet.Wish) {
	if wish != nil {
		f.history.addAsked(*r)
	} else {
		f.history.add(*r)
	}
}

// runOf is a run of the seed on p, without what only the run itself knows. It holds on
// to nothing of the frame that p came in.
func (f *flow) runOf(h *host, p *packet.Packet, err error) trace.Run {
	r := trace.Run{
		Packet: p.ID, Ship: keptShip(p.Ship), Seed: h.name, Node: f.cfg.Name, At: time.Now(),
		State: unique.Make(p.State).Value(), Attempt: int(p.Attempt) + 1, Round: p.Round(), Sink: len(h.manifest.Contract.Out) == 0,
	}
	if err != nil {
		_, again := nextTry(&h.manifest, p, err, f.pauseAfter, time.Now())
		r.Error, r.Last = strings.Clone(brief(err.Error())), !again
	}
	return r
}

// bear keeps that a packet came in, from the injector of that name or, with "",
// from outside.
func (f *flow) bear(p *packet.Packet, injector string) {
	if p.Wish == nil && !f.history.samples(p.Ship.Root) {
		return
	}
	f.keep(&trace.Run{
		Packet: p.ID, Ship: keptShip(p.Ship), Born: true, Seed: injector, Node: f.cfg.Name, State: unique.Make(p.State).Value(), At: time.Now(),
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
