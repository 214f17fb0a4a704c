package packet

import "errors"

// MaxFile is the largest .pkt file that is worth reading, in bytes: whoever
// opens one refuses it beyond.
const MaxFile = 100 << 20

// ErrTooLarge is data beyond the limit of a packet.
var ErrTooLarge = errors.New("too much data")

// ErrTooLong is a packet that no frame can hold, whatever its data.
var ErrTooLong = errors.New("too large for a store, apart from its data")

// A File is what a .pkt file holds: one packet and what else it says.
//
// A .pkt file is JSON in one of two shapes. Ours is an object:
//
//	id         32 hexadecimal digits
//	ship       NODE:ID, the job
//	ship_name  its name, at most 255 bytes of printed characters
//	container  an id, and
//	fragment   {"index": 0, "count": 3}, of a part of a split
//	state      Type:NAME, or group:Type:NAME
//	data       the data, if it is UTF-8; else
//	data64     the data in base64
//	attributes {"sample": "S07"}: at most 64, of at most 16 KiB together; a name is
//	           [a-z][a-z0-9_]* of at most 64 bytes, a value a text without U+0000
//	path       the birth path, [0, 3, 1]: numbers below 1 << 63, which take at
//	           most 4 KiB as varints
//	families   [{"state", "id"}], at most 16 and no state twice
//	round      how often it was sent on its way again by hand
//	attempt    runs that failed so far
//	dead_letters those among it and the packets that it descends from
//	hops       [{"seed", "version", "node", "at"}], oldest first, at as in RFC
//	           3339, version perhaps missing; with "state" and "data" or "data64"
//	           too if the packet is tracked
//	fault      {"error", "output", "state", "attempts"}, in an Error: state
//	stop       end after the seed of this name
//	goal       take only ways to this state
//	goal_node  the node that waits there for it, of a call
//	track      true: keep the data of every hop
//	traceparent 00-TRACE-SPAN-FLAGS, its place in a trace (W3C Trace Context)
//	deadline   as in RFC 3339; then the packet goes to its Error: state
//
// state and one of data and data64 have to be there; whatever else is missing
// is zero. A field of another name is an error.
//
// The classic shape is the array that the old Pumpkin moved, [header,
// automaton, ..., last]. Of its header, ship, container, stop_func and of aux
// the bit 2 (track) count, of its last element stag (group:Type:STATE or
// Type:STATE) and data; see Ignored for the others. A header with code is
// refused, and so is one of an acknowledgement or of a gather.
type File struct {
	// Packet has a zero ID, and a zero Ship.Root, where the file names none:
	// whoever takes the file in decides them. Old Pumpkin had no id of one
	// packet, so of the classic shape the ID is always zero; its ship and its
	// container, any texts there, are hashed to ids, and Ship.Node is "".
	Packet Packet
	// Group is the group of the packet's state, "" where the file names
	// none. Whether it is the right one, its taker knows.
	Group string
	// Classic says that the file has the classic shape.
	Classic bool
	// Ignored is what the file asks for and does not get, each one phrase
	// that says why.
	Ignored []string
}
