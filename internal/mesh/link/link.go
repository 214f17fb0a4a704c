// Package link is the protocol of two nodes over one connection, and both ends of
// it: [Server] answers, [Dial] makes the other node a [Peer].
//
// A connection is HTTP/2, over TCP with mutual TLS or over a Unix socket
// without. It serves one direction: A uses B's store over the connection that A
// made, and B uses A's over its own.
//
// # Requests
//
// Each request carries who asks in the header Pumpkin-Hello, a [Hello] in JSON.
// Paths below /mesh/v2/ are those of protocol 2; a node that does not speak the
// version of a path below /mesh/ answers 426 with a problem that holds its own
// hello, in every version.
//
//	GET    /mesh/v2/watch           what the node says of itself, until it ends
//	POST   /mesh/v2/frames          leases and verdicts, both ways, until it ends
//	POST   /mesh/v2/append          ?place=&packets=&rank=  the body is a frame
//	GET    /mesh/v2/blobs/{sum}     ?size=  large data
//	PUT    /mesh/v2/blobs/{sum}     ?size=  the body is large data
//	DELETE /mesh/v2/blobs/{sum}     ?size=
//
// All but watch name their session in the header Pumpkin-Session, and are
// answered 410 where it has ended. Errors are problems in JSON, whose kind says
// which error of package store they are.
//
// # Watch
//
// The answer is lines of JSON, each an object with some of these:
//
//	{"hello": {...}, "session": "..."}  the first line
//	{"card": {...}}                     the node's card, at once and when it has changed
//	{"peers": [{"boot", "addr", "advertise"}, ...]}
//	                                    where other nodes are reached over TCP: new ones each time,
//	                                    and all again now and then, as long as they are there
//	{}                                  a beat, when there was nothing else for 2 s
//
// The session lives as long as the watch. What was leased under it outlives it for
// a while, and goes on under the next session of the same puller, which resumes it.
//
// # Frames
//
// Pulls and verdicts go over one stream and not as requests of their own, so
// that they are in order: a pull that is cancelled crosses its answer, and only
// order tells both ends what became of the frames in it. Numbers are
// big-endian. A pull is named by the puller, by a number that it uses once; a
// lease by its pull and its index in the answer.
//
//	to the owner
//	  1 pull     u64 pull, u16 most, u8 length, place
//	  2 cancel   u64 pull            gives back whatever it had
//	  3 ack      u64 pull, u16 index
//	  4 release  u64 pull, u16 index, u64 nanoseconds
//	  5 spoil    u64 pull, u16 index
//	  6 resume   u64 pull, u16 count, then for each
//	             u64 number, u8 length, place
//	  7 leave    u64 0                gives back all there is
//	to the puller
//	  1 frames   u64 pull, u16 count, then for each
//	             u64 number, u32 deliveries, u32 length, data
//	  2 failed   u64 pull, u16 length, problem
//	  3 resumed  u64 pull, u16 count, then for each that has lapsed
//	             u16 index
//	  4 taken    u64 verdicts, u16 0  how many have come over this stream
//
// Verdicts that come while others are on their way gather behind them, and go
// together.
//
// The first message is a resume. It names the frames that the puller has leased over
// earlier streams and not decided, or acknowledged without hearing that this was
// taken; from then on they have the number of that pull. What else was leased to
// the puller, it does not have, and it is given back. So a puller that had a stream
// before opens the next at once, also to name nothing.
package link

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

const (
	// beat is how often a line of a watch comes at the least, and silence how
	// long one waits for it: two beats that were missed, and some slack.
	beat    = 2 * time.Second
	silence = 2*beat + time.Second

	// pingAfter is how long a connection is silent before it is pinged, and
	// pingWait how long the answer may take. Together they bound how long a
	// cut cable goes unnoticed, on both sides.
	pingAfter = 2 * time.Second
	pingWait  = 3 * time.Second

	// stall is how long one write to the other side may take before it counts
	// as stuck.
	stall = 10 * time.Second

	// maxLine is the longest line of a watch: the card of some thousand seeds.
	maxLine = 4 << 20
	// maxHead is the most bytes of a request's headers, URL included.
	maxHead = 8 << 10
	// maxProblem is the most bytes of an error on the wire.
	maxProblem = 8 << 10
	// maxPulls and maxLeases are how much one session may have open.
	maxPulls  = 4096
	maxLeases = 16384
	// takenPause is how long verdicts gather until the puller is told that they
	// were taken.
	takenPause = 50 * time.Millisecond
	// leaveTime is how long a node that ends waits until it has given back what
	// it leased.
	leaveTime = time.Second
	// maxMost is the most frames that one pull can ask for.
	maxMost = 256
	// maxSessions is how many watches a node answers at a time.
	maxSessions = 8192
	// maxStreams is how many requests one connection may have open.
	maxStreams = 512
	// gossipAgain is how often all that is known of other nodes is told again: that is how
	// who cannot reach one of them learns that it is still there.
	gossipAgain = 5 * time.Minute
	// MaxPeers is how many addresses one line of gossip may have.
	MaxPeers = 4096
)

const (
	headerHello   = "Pumpkin-Hello"
	headerSession = "Pumpkin-Session"
	root          = "/mesh/"
	current       = "/mesh/v2/"
)

// A Hello is who speaks. It has the same form in every version of the protocol.
type Hello struct {
	Protocol int       `json:"protocol"`
	Node     string    `json:"node"`
	Boot     packet.ID `json:"boot"`
	Version  string    `json:"version,omitempty"`
	// Port is where the node listens over TCP, to be reached from where it
	// came; 0 where it does not.
	Port uint16 `json:"port,omitempty"`
	// Advertise are the addresses, HOST:PORT, at which the node says that it is reached, in
	// place of where it came from; at most [mesh.MaxAddresses].
	Advertise []string `json:"advertise,omitempty"`
	// Data names the node's data folder, the same in each copy and backup of it; "" is none.
	Data string `json:"data,omitempty"`
	// Started is when the node started, by its own clock.
	Started time.Time `json:"started,omitzero"`
	// Held says that the node has come upon another of the same data folder that was there
	// first, and holds back what is stored there.
	Held bool `json:"held,omitempty"`
}

// CopyOf tells whether both are nodes of one data folder, of which there is a copy.
func (h Hello) CopyOf(other Hello) bool {
	return h.Data != "" && h.Data == other.Data && h.Boot != other.Boot
}

// After tells which of two nodes of one data folder came second: one that holds its packets
// back already, else the one that started later. Both of them come to the same answer.
func (h Hello) After(other Hello) bool {
	switch {
	case h.Held != other.Held:
		return h.Held
	case !h.Started.Equal(other.Started):
		return h.Started.After(other.Started)
	}
	return h.Boot.String() > other.Boot.String()
}

func (h Hello) check() error {
	if err := packet.CheckName("node", h.Node); err != nil {
		return err
	}
	switch {
	case h.Boot.IsZero():
		return errors.New("the boot id is missing")
	case h.Protocol < 1:
		return fmt.Errorf("protocol %d; expected 1 or more", h.Protocol)
	case len(h.Data) > packet.MaxName:
		return fmt.Errorf("the name of a data folder of %d bytes; at most %d are allowed", len(h.Data), packet.MaxName)
	case len(h.Version) > packet.MaxName:
		return fmt.Errorf("a version of %d bytes; at most %d are allowed", len(h.Version), packet.MaxName)
	}
	if err := mesh.CheckAddresses(h.Advertise); err != nil {
		return fmt.Errorf("where the node says that it is reached: %w", err)
	}
	return nil
}

// A Sighting is where a node is said to be reached over TCP.
type Sighting struct {
	Boot packet.ID      `json:"boot"`
	Addr netip.AddrPort `json:"addr"`
	// Advertise are the addresses that the node gives itself; they count in place of Addr.
	Advertise []string `json:"advertise,omitempty"`
}

// A ProtocolError is a node that speaks another major version of the protocol.
type ProtocolError struct{ Hello Hello }

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("node %s (%s) speaks protocol %d, and this one %d: run the same version on both",
		e.Hello.Node, e.Hello.Version, e.Hello.Protocol, mesh.Protocol)
}

// A CopyError is a node that refuses this one, since another of the same data folder is there:
// one of both has a copy. It is an [ErrRefused].
type CopyError struct {
	Hello Hello // of the other
	// At is how the other is reached; "" is that it is the node that refuses.
	At string
}

func (e *CopyError) Error() string {
	return "another node runs on the same data folder: one of them is a copy"
}

// Unwrap gives [ErrRefused].
func (e *CopyError) Unwrap() error { return ErrRefused }

var (
	// ErrRefused is a node that does not want to be met by this one, for the
	// reason in the text.
	ErrRefused = errors.New("refused")
	// ErrSelf is this node itself.
	ErrSelf = errors.New("this is the node itself")
	// errSession is a session that has ended.
	errSession = errors.New("the session has ended")
)

// http2 are the bounds of a connection, at both ends.
func http2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReadFrameSize:              256 << 10,
		MaxReceiveBufferPerConnection: 4<<20 - 1,
		MaxReceiveBufferPerStream:     2 << 20,
		SendPingTimeout:               pingAfter,
		PingTimeout:                   pingWait,
		WriteByteTimeout:              pingAfter + pingWait,
	}
}

// checkCard says what is wrong with a card that came from outside.
func checkCard(c mesh.Card, from Hello) error {
	if c.Node != from.Node || c.Boot != from.Boot {
		return fmt.Errorf("node %s sent the card of another, %q", from.Node, c.Node)
	}
	for _, h := range c.Seeds {
		if err := checkSeed(h.Manifest); err != nil {
			return err
		}
	}
	for _, r := range c.Refused {
		if err := checkSeed(r.Manifest); err != nil {
			return err
		}
	}
	for _, k := range c.Known {
		if err := checkSeed(seed.Manifest{Name: k.Seed, Contract: k.Contract}); err != nil {
			return err
		}
		if err := packet.CheckName("node", k.Node); err != nil {
			return fmt.Errorf("seed %s: %w", k.Seed, err)
		}
	}
	return nil
}

// rank reads the rank of a frame.
func rank(text string) (store.Rank, error) {
	switch text {
	case "root":
		return store.Root, nil
	case "descendant":
		return store.Descendant, nil
	}
	return 0, fmt.Errorf("rank %q; expected root or descendant", text)
}

func rankText(r store.Rank) string {
	if r == store.Root {
		return "root"
	}
	return "descendant"
}
