package mesh

import (
	"fmt"
	"time"

	"github.com/recap/pumpkin/packet"
)

// An Outsider is a node that was seen and is not reached, or that does not reach this one.
type Outsider struct {
	Node   string    `json:"node,omitempty"` // as far as it was said
	Boot   packet.ID `json:"boot,omitzero"`  // likewise
	At     string    `json:"at"`
	By     Source    `json:"by"`
	Reason Reason    `json:"reason"`
	// Why says the reason for people, and Next what they can do about it.
	Why  string `json:"why"`
	Next string `json:"next,omitempty"`
	// Since is from when on the reason holds, and Seen when there was last a sign of the node.
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`
}

// Stranger tells whether only a beacon without this network's key tells of the node: it may
// belong to another network, and is no fault of this one.
func (o *Outsider) Stranger() bool { return o.Reason == WrongKey && o.By == ByBeacon }

// A Source is how a node was learnt of.
type Source string

// The sources.
const (
	ByBeacon Source = "beacon" // it says so by broadcast
	ByJoin   Source = "join"   // this node is told to join it
	ByNode   Source = "node"   // another node tells of it
	ByItself Source = "itself" // it has reached this node, or this node it
	ByFolder Source = "folder" // its socket is in the folder where nodes of a machine meet
)

// A Reason is why a node is not reached.
type Reason string

// The reasons.
const (
	// ConnectionRefused: nothing listens at its address.
	ConnectionRefused Reason = "refused"
	NoAnswer          Reason = "no-answer"     // nothing comes back
	NoRoute           Reason = "no-route"      // the system says that there is no way to it
	UnknownHost       Reason = "unknown-host"  // its name has no address
	WrongKey          Reason = "wrong-key"     // it has another key, or is in another group
	NoNode            Reason = "no-node"       // something else answers
	OtherVersion      Reason = "other-version" // it speaks another protocol
	OneWay            Reason = "one-way"       // it reaches this node, or is reached, and the other way is closed
	Copied            Reason = "copy"          // it runs on the data folder of another node, or on a copy
	NameTaken         Reason = "name-taken"    // another node has its name
	Failed            Reason = "failed"        // anything else
)

// Reasons are all of them.
func Reasons() []Reason {
	return []Reason{ConnectionRefused, NoAnswer, NoRoute, UnknownHost, WrongKey, NoNode, OtherVersion, OneWay, Copied, NameTaken, Failed}
}

// Why says the reason for people; "" where it depends on more.
func (r Reason) Why() string {
	switch r {
	case ConnectionRefused:
		return "it refuses the connection"
	case NoAnswer:
		return "it does not answer"
	case NoRoute:
		return "there is no route to it, or a firewall rejects the connection"
	case UnknownHost:
		return "its name has no address"
	case WrongKey:
		return "it has another key, or is in another group"
	case NoNode:
		return "what answers there is no node"
	case Copied:
		return "it runs on the same data folder as another node: one of them is a copy"
	case OneWay:
		return "this node reaches it, and is not reached by it"
	}
	return ""
}

// Next says what people can do about it. port is the TCP port at which the node that is not
// reached listens, as far as it is known.
func (r Reason) Next(port uint16) string {
	where := "its TCP port (7900 to 7999)"
	if port != 0 {
		where = fmt.Sprintf("TCP port %d", port)
	}
	const advertise = "; in a container or behind address translation it needs --advertise HOST:PORT"
	switch r {
	case ConnectionRefused:
		return "see that it runs there, and that no firewall rejects " + where
	case NoAnswer:
		return "open " + where + " there to this machine" + advertise
	case NoRoute:
		return "look at the address, and open " + where + " there to this machine" + advertise
	case UnknownHost:
		return "correct the name, or give the address"
	case WrongKey:
		return "give both the same --key and --group"
	case NoNode:
		return "correct the address"
	case OtherVersion:
		return "run the same version of pmk on both"
	case Copied:
		return "end one of both, and start it with an empty folder, --data DIR"
	case OneWay: // port is this node's
		return "open " + where + " of this machine to it; in a container or behind address translation start this node with --advertise HOST:PORT"
	}
	return ""
}

// Ignored counts what came without the network's key since the node started.
type Ignored struct {
	Connections int64 `json:"connections"`
	Beacons     int64 `json:"beacons"`
}
