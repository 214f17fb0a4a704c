package trace

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// A Prefix is the begin of an id.
type Prefix struct {
	id     packet.ID
	mask   packet.ID // has the bits that count
	digits int
}

const (
	// leastDigits is how short an id may be: fewer mean too many.
	leastDigits = 4
	// idDigits are those of a whole id.
	idDigits = 32
)

// ParsePrefix reads an id, or its first digits, or a ship, NODE:ID, whose id may
// be as short.
func ParsePrefix(text string) (Prefix, error) {
	digits := text[strings.LastIndexByte(text, ':')+1:]
	if len(digits) < leastDigits || len(digits) > idDigits {
		return Prefix{}, fmt.Errorf("id %q has %d digits; expected %d to %d, from its beginning", text, len(digits), leastDigits, idDigits)
	}
	id, err := packet.ParseID(digits + strings.Repeat("0", idDigits-len(digits)))
	if err != nil {
		return Prefix{}, fmt.Errorf("id %q: %w", text, errors.Unwrap(err))
	}
	return prefixOf(id, len(digits)), nil
}

// PrefixOf means this id alone.
func PrefixOf(id packet.ID) Prefix { return prefixOf(id, idDigits) }

func prefixOf(id packet.ID, digits int) Prefix {
	const all = math.MaxUint64
	free := 4 * (idDigits - digits) // bits
	return Prefix{id: id, mask: packet.ID{Hi: all << max(free-64, 0), Lo: all << free}, digits: digits}
}

// Means tells whether id begins so.
func (p Prefix) Means(id packet.ID) bool {
	return (id.Hi^p.id.Hi)&p.mask.Hi == 0 && (id.Lo^p.id.Lo)&p.mask.Lo == 0
}

// String is the digits.
func (p Prefix) String() string { return p.id.String()[:p.digits] }

// Draw is the number that decides whether a ship is in a sample of one in a
// power of two: it is, if it is a multiple of that. So every node chooses the
// same ships, and all packets of a ship.
func Draw(root packet.ID) uint64 { return bits.ReverseBytes64(root.Lo) }
