package trace

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// A Prefix is the begin of an id.
type Prefix struct {
	id     packet.ID
	digits int
}

// leastDigits is how short an id may be: fewer mean too many.
const leastDigits = 4

// idDigits are those of a whole id.
const idDigits = 2 * len(packet.ID{})

// ParsePrefix reads an id, or its first digits, or a ship, NODE:ID, whose id may
// be as short.
func ParsePrefix(text string) (Prefix, error) {
	digits := text[strings.LastIndexByte(text, ':')+1:]
	if len(digits) < leastDigits || len(digits) > idDigits {
		return Prefix{}, fmt.Errorf("id %q has %d digits; expected %d to %d, from its begin", text, len(digits), leastDigits, idDigits)
	}
	p := Prefix{digits: len(digits)}
	if _, err := hex.Decode(p.id[:], []byte(digits+strings.Repeat("0", idDigits-len(digits)))); err != nil {
		return Prefix{}, fmt.Errorf("id %q: %w", text, err)
	}
	return p, nil
}

// PrefixOf means this id alone.
func PrefixOf(id packet.ID) Prefix { return Prefix{id, idDigits} }

// Means tells whether id begins so.
func (p Prefix) Means(id packet.ID) bool {
	whole := p.digits / 2
	if id != p.id && string(id[:whole]) != string(p.id[:whole]) {
		return false
	}
	return p.digits%2 == 0 || id[whole]>>4 == p.id[whole]>>4
}

// String is the digits.
func (p Prefix) String() string { return p.id.String()[:p.digits] }

// Draw is the number that decides whether a ship is in a sample of one in a
// power of two: it is, if it is a multiple of that. So every node chooses the
// same ships, and all packets of a ship.
func Draw(root packet.ID) uint64 { return binary.LittleEndian.Uint64(root[8:]) }
