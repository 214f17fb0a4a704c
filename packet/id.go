package packet

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/zeebo/xxh3"
)

// ID names a packet. It is decided, not drawn: running a packet again gives
// its children the ids they had before, so a sink that keys on the id has each
// result once.
type ID [16]byte

// SeedKey stands for a seed's name in the ids of what the seed gives.
type SeedKey uint64

// KeyOf is the key of the seed of that name.
func KeyOf(seed string) SeedKey { return SeedKey(xxh3.HashString(seed)) }

// NewID draws an id: for what has no parent and no name of its own.
func NewID() ID {
	var id ID
	rand.Read(id[:]) // never fails, says crypto/rand
	return id
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
	return xxh3.Hash128(buf).Bytes()
}

// Child is the id of the index-th packet that a seed gives for the packet id.
func (id ID) Child(seed SeedKey, index uint64) ID {
	var buf [32]byte
	copy(buf[:16], id[:])
	binary.BigEndian.PutUint64(buf[16:], uint64(seed))
	binary.BigEndian.PutUint64(buf[24:], index)
	return xxh3.Hash128(buf[:]).Bytes()
}

// IsZero tells whether id is no id.
func (id ID) IsZero() bool { return id == ID{} }

// String is the id as 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what [ID.String] writes.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return ID{}, fmt.Errorf("id %q has %d characters; expected %d hexadecimal digits", s, len(s), 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("id %q: %w", s, err)
	}
	return id, nil
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
