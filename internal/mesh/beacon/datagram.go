package beacon

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/packet"
)

// A Seal authenticates beacons with what the nodes of a network share.
type Seal interface {
	MAC(message []byte) [16]byte
	Verify(message, mac []byte) bool
}

// A beacon is these bytes, numbers big-endian:
//
//	 0   4  "PMKB"
//	 4   1  the major version of the protocol that the node speaks
//	 5  16  its boot id, drawn at each start
//	21   8  the number of this beacon among those of the boot, from 1 on
//	29   2  the TCP port that the node listens on
//	31   -  the addresses that it gives itself, HOST:PORT with commas between; mostly none
//	 -  16  the MAC of all before
//
// Where the node is, the source of the datagram tells, unless it gives itself addresses. There is
// no name, group or state in it: who has no key learns that there is a node, and where. The first
// 31 bytes mean the same in every version; what a later one adds stands between the port and the
// MAC, which always comes last.
const (
	magic   = "PMKB"
	macSize = 16
	head    = len(magic) + 1 + 16 + 8 + 2
	size    = head + macSize
	// maxSize is the longest beacon that any version may send.
	maxSize = 512
)

// A message is what a beacon says.
type message struct {
	major  byte
	boot   packet.ID
	number uint64
	port   uint16
	// advertise are the addresses that the node gives itself.
	advertise []string
}

var (
	errOversize = errors.New("it is too long for a beacon")
	errGarbage  = errors.New("it is not a beacon")
	errStranger = errors.New("it does not come from a node with this key and group")
)

func encode(m message, seal Seal) []byte {
	b := make([]byte, 0, size)
	b = append(b, magic...)
	b = append(b, m.major)
	b = m.boot.Append(b)
	b = binary.BigEndian.AppendUint64(b, m.number)
	b = binary.BigEndian.AppendUint16(b, m.port)
	b = append(b, strings.Join(m.advertise, ",")...)
	mac := seal.MAC(b)
	return append(b, mac[:]...)
}

// decode reads a datagram as a node of this major version. What is cheap to see
// is looked at before the MAC.
func decode(b []byte, major byte, seal Seal) (message, error) {
	switch {
	case len(b) > maxSize:
		return message{}, errOversize
	case len(b) < size, string(b[:len(magic)]) != magic:
		return message{}, errGarbage
	case !seal.Verify(b[:len(b)-macSize], b[len(b)-macSize:]):
		return message{}, errStranger
	}
	m := message{
		major: b[4], boot: packet.IDOf([16]byte(b[5:])),
		number: binary.BigEndian.Uint64(b[21:]), port: binary.BigEndian.Uint16(b[29:]),
	}
	if m.port == 0 || m.number == 0 {
		return message{}, errGarbage
	}
	if text := string(b[head : len(b)-macSize]); text != "" && m.major == major {
		m.advertise = strings.Split(text, ",")
		if mesh.CheckAddresses(m.advertise) != nil {
			return message{}, errGarbage
		}
	}
	return m, nil
}
