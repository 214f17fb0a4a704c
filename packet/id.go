package packet

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/zeebo/xxh3"
)

// ID names a packet or a run. It is derived, not drawn: running a packet again
// gives its outputs the ids that they had before, so a sink that keys on the id
// has each result once. Like this, with big-endian numbers:
//
//	run id     XXH3-128 of: the seed's key (8 bytes), the round (8 bytes), and
//	           the ids of the run's parts in their order (16 bytes each)
//	output id  XXH3-128 of: the run id (16 bytes), the output's number in its
//	           run, from 0 (8 bytes)
//
// All attempts of a run have its round; 'pmk retry' raises that.
//
// An ID is 16 bytes, kept as two numbers: unlike an array, they are passed on and
// compared in registers.
type ID struct {
	// Hi and Lo are its bytes 0 to 7 and 8 to 15, big-endian.
	Hi, Lo uint64
}

// SeedKey stands for a seed's name in the ids of what the seed gives.
type SeedKey uint64

// KeyOf is the key of the seed of that name.
func KeyOf(seed string) SeedKey { return SeedKey(xxh3.HashString(seed)) }

// NewID draws an id: for what has no parent and no name of its own.
func NewID() ID {
	var b [16]byte
	rand.Read(b[:]) // never fails, says crypto/rand
	return IDOf(b)
}

// IDOf is the id of those bytes.
func IDOf(b [16]byte) ID {
	return ID{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

// Bytes are the id's.
func (id ID) Bytes() [16]byte { return [16]byte(id.Append(nil)) }

// Append appends the id's 16 bytes to b.
func (id ID) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, id.Hi), id.Lo)
}

// HashID is the id of what these parts name, in this order: a file's record,
// an injector's key. Parts are set apart by their lengths, so that no two
// lists of parts run together.
func HashID(parts ...string) ID {
	var buf []byte
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	return ID(xxh3.Hash128(buf))
}

// RunID is the id of the run of a seed on these parts, today always one.
func RunID(seed SeedKey, round int32, parts ...ID) ID {
	if len(parts) == 1 {
		return parts[0].run(seed, round)
	}
	buf := make([]byte, 0, 16+16*len(parts))
	buf = binary.BigEndian.AppendUint64(buf, uint64(seed))
	buf = binary.BigEndian.AppendUint64(buf, uint64(round))
	for _, id := range parts {
		buf = id.Append(buf)
	}
	return ID(xxh3.Hash128(buf))
}

func (id ID) run(seed SeedKey, round int32) ID {
	var buf [32]byte
	binary.BigEndian.PutUint64(buf[:], uint64(seed))
	binary.BigEndian.PutUint64(buf[8:], uint64(round))
	binary.BigEndian.PutUint64(buf[16:], id.Hi)
	binary.BigEndian.PutUint64(buf[24:], id.Lo)
	return ID(xxh3.Hash128(buf[:]))
}

// Output is the id of the output of that number of the run id.
func (id ID) Output(number uint64) ID {
	var buf [24]byte
	binary.BigEndian.PutUint64(buf[:], id.Hi)
	binary.BigEndian.PutUint64(buf[8:], id.Lo)
	binary.BigEndian.PutUint64(buf[16:], number)
	return ID(xxh3.Hash128(buf[:]))
}

// IsZero tells whether id is no id.
func (id ID) IsZero() bool { return id == ID{} }

// String is the id as 32 hexadecimal digits.
func (id ID) String() string {
	b := id.Bytes()
	return hex.EncodeToString(b[:])
}

// ParseID reads what [ID.String] writes.
func ParseID(s string) (ID, error) {
	var b [16]byte
	if len(s) != 2*len(b) {
		return ID{}, fmt.Errorf("id %q has %d characters; expected %d hexadecimal digits", s, len(s), 2*len(b))
	}
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("id %q: %w", s, err)
	}
	return IDOf(b), nil
}

// MarshalText writes the id as [ID.String] does.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
