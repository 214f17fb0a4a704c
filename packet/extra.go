package packet

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Extra is what few packets have. It lies behind one pointer, so that the others
// pay nothing for it: a [Packet] is copied for every seed on its way. What
// descends from a packet inherits it, but for the round: see [Extra.Inherit].
type Extra struct {
	// Container is the family that a split made, and Fragment the packet's
	// place in it; both zero for a packet that is no fragment.
	Container ID
	Fragment  Fragment
	// ShipName is the name that the sender gave the packet's ship, "" for none.
	ShipName string
	// Attributes are the packet's own and those that it inherited.
	Attributes Attributes
	// Path is the packet's place in its ship.
	Path Path
	// Families are those that the packet belongs to, at most one of a state.
	Families []Family
	// Round counts how often the packet was sent on its way again by hand: it
	// is part of the ids of what its runs give. Attempts keep it.
	Round int32
	// Failing is when the first of the packet's failed attempts ended, in
	// seconds since 1970, where that bounds them; else 0.
	Failing int64
}

// A Family is everything that descends from one packet: the packet with that ID,
// which was in State when an 'of' named that.
type Family struct {
	State State
	ID    ID
}

// maxSeconds is the end of the year 9999, the last that texts have room for.
const maxSeconds = 253_402_300_799

// The limits of what an Extra has.
const (
	MaxShipName = 255     // bytes
	MaxPath     = 4 << 10 // bytes
	MaxFamilies = 16
)

// A Path is a packet's birth path: its number in its injection and, for each
// hop, the number of the output, each an unsigned varint (encoding/binary's) of
// at most 63 bits in its shortest form. "" is no path.
type Path string

// PathOf is the path of these numbers, the oldest first.
func PathOf(numbers ...uint64) Path {
	var b []byte
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return Path(b)
}

// Numbers are those of a path that [Path.Check] accepts.
func (p Path) Numbers() (numbers []uint64) {
	for b := []byte(p); len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			break
		}
		numbers, b = append(numbers, n), b[size:]
	}
	return numbers
}

// Check says which rule p breaks; nil means none.
func (p Path) Check() error {
	if len(p) > MaxPath {
		return fmt.Errorf("the birth path has %d bytes; at most %d are allowed", len(p), MaxPath)
	}
	for b := []byte(p); len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 || n >= 1<<63 || size > 1 && b[size-1] == 0 {
			return fmt.Errorf("the birth path has no number of 63 bits at byte %d", len(p)-len(b))
		}
		b = b[size:]
	}
	return nil
}

// IsZero tells whether e says nothing; a nil one does not.
func (e *Extra) IsZero() bool {
	return e == nil || e.Container.IsZero() && e.Fragment == (Fragment{}) && e.ShipName == "" && len(e.Attributes) == 0 &&
		e.Path == "" && len(e.Families) == 0 && e.Round == 0 && e.Failing == 0
}

// Check says which limit e breaks; nil means none.
func (e *Extra) Check() error {
	if e == nil {
		return nil
	}
	if e.Round < 0 {
		return fmt.Errorf("round %d; rounds count from 0", e.Round)
	}
	if e.Failing < 0 || e.Failing > maxSeconds {
		return fmt.Errorf("failing since %d s after 1970; at most %d are allowed", e.Failing, maxSeconds)
	}
	if err := CheckShipName(e.ShipName); err != nil {
		return err
	}
	if err := e.Attributes.Check(); err != nil {
		return err
	}
	if err := e.Path.Check(); err != nil {
		return err
	}
	return checkFamilies(e.Families)
}

// CheckShipName says what is wrong with the name of a ship: at most
// [MaxShipName] bytes of printed characters.
func CheckShipName(name string) error {
	switch {
	case len(name) > MaxShipName:
		return fmt.Errorf("the ship's name is %d bytes long; at most %d are allowed", len(name), MaxShipName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the ship's name %q has characters that are not printed", name)
	}
	return nil
}

func checkFamilies(families []Family) error {
	if len(families) > MaxFamilies {
		return fmt.Errorf("%d families; at most %d are allowed", len(families), MaxFamilies)
	}
	for i, f := range families {
		if f.State == "" {
			return fmt.Errorf("family %d has no state", i)
		}
		if slices.ContainsFunc(families[:i], func(other Family) bool { return other.State == f.State }) {
			return fmt.Errorf("two families of the state %s", f.State)
		}
	}
	return nil
}

// Inherit is the Extra of an output of a packet that has e, where the output
// sets these attributes. It is e itself where nothing changes, keeps set
// nowhere, and fails if the attributes break a rule of theirs.
func (e *Extra) Inherit(set Attributes) (*Extra, error) {
	if len(set) == 0 && (e == nil || e.Round == 0 && e.Failing == 0) {
		return e, nil
	}
	var child Extra
	if e != nil {
		child = *e
	}
	child.Round, child.Failing = 0, 0
	child.Attributes = child.Attributes.With(set)
	if len(set) > 0 {
		if err := child.Attributes.Check(); err != nil {
			return nil, err
		}
	}
	if child.IsZero() {
		return nil, nil
	}
	return &child, nil
}

// NextRound is e in its next round.
func (e *Extra) NextRound() *Extra {
	var next Extra
	if e != nil {
		next = *e
	}
	next.Round++
	next.Failing = 0
	return &next
}

// Since is when the first failed attempt ended, 0 where that is not known.
func (e *Extra) Since() int64 {
	if e == nil {
		return 0
	}
	return e.Failing
}

// FailingSince is e with that time as the end of the first failed attempt; 0
// takes it away.
func (e *Extra) FailingSince(seconds int64) *Extra {
	var next Extra
	if e != nil {
		next = *e
	}
	next.Failing = seconds
	if next.IsZero() {
		return nil
	}
	return &next
}

// size is what e takes in memory, in bytes, about.
func (e *Extra) size() int {
	n := 128 + len(e.ShipName) + len(e.Path) + 32*len(e.Families)
	if len(e.Attributes) > 0 {
		n += 384 + 48*max(len(e.Attributes)-8, 0) + e.Attributes.bytes()
	}
	return n
}

// Fragment is a packet's place among the parts of a split: Index counts from
// 0, Count is 0 for a packet that is whole.
type Fragment struct {
	Index, Count uint32
}
