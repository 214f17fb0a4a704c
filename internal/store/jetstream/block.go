package jetstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"time"

	"github.com/minio/highwayhash"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

// A block file is records, one after the other:
//
//	length u32 | sequence u64 | time i64 | subject length u16 |
//	subject | message | hash 8 bytes
//
// all little-endian. The length is that of the whole record; its highest bit
// says that headers stand before the message, with their length as u32 after
// the subject. The highest bit of the sequence marks a message that was
// erased, the next one a tombstone: that sequence was deleted. The hash is
// HighwayHash-64 of everything but the lengths, under the SHA-256 of the
// stream's name and the block's number.
const (
	recordHead   = 22
	recordHash   = 8
	headersBit   = uint32(1) << 31
	erasedBit    = uint64(1) << 63
	tombstoneBit = uint64(1) << 62
	// maxRecord is more than any record of ours has.
	maxRecord = store.MaxFrame + 128<<10
)

// cutOff is said of a record that the file is too short for.
const cutOff = "the file ends within a record"

// A record is one that is whole.
type record struct {
	number    uint64
	since     time.Time
	subject   string
	data      []byte // part of the block
	erased    bool
	tombstone bool
	offset    int
	length    int
}

// A flaw is a stretch of a block that holds no whole record.
type flaw struct {
	offset, length int
	number         uint64 // of the record that seems to begin there; 0 if unknown
	what           string
}

// blockHash is the hash of the records of a block.
func blockHash(stream string, index int) hash.Hash {
	return keyedHash(fmt.Sprintf("%s-%d", stream, index))
}

// keyedHash is the server's checksum under the name.
func keyedHash(name string) hash.Hash {
	key := sha256.Sum256([]byte(name))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	return h
}

// readBlock splits a block into what is whole and what is not. After a flaw
// it goes on at the next place where a whole record begins.
func readBlock(h hash.Hash, at store.Place, block []byte) (whole []record, flaws []flaw) {
	for here := 0; here < len(block); {
		r, what := readRecord(h, at, block, here)
		if what == "" {
			whole = append(whole, r)
			here += r.length
			continue
		}
		f := flaw{offset: here, what: what, number: r.number}
		next := here + 1
		for ; next < len(block); next++ {
			if looksLikeRecord(block, next) {
				if _, what := readRecord(h, at, block, next); what == "" {
					break
				}
			}
		}
		f.length = next - here
		flaws = append(flaws, f)
		here = next
	}
	return whole, flaws
}

// looksLikeRecord tells cheaply whether a record may begin there: a tombstone
// is short, and what else there is has a subject of ours.
func looksLikeRecord(block []byte, here int) bool {
	if len(block)-here < recordHead+recordHash {
		return false
	}
	length := binary.LittleEndian.Uint32(block[here:]) &^ headersBit
	if length == recordHead+recordHash {
		return true
	}
	return length <= maxRecord && bytes.HasPrefix(block[here+recordHead:], []byte("pmk."))
}

// readRecord reads the record that begins there. If it is not whole, what says
// why, and the record has a number if one can be made out.
func readRecord(h hash.Hash, at store.Place, block []byte, here int) (r record, what string) {
	rest := block[here:]
	if len(rest) < recordHead+recordHash {
		return r, cutOff
	}
	le := binary.LittleEndian
	length := le.Uint32(rest)
	headers := length&headersBit != 0
	length &^= headersBit
	seq := le.Uint64(rest[4:])
	r = record{
		number: seq &^ (erasedBit | tombstoneBit), erased: seq&erasedBit != 0, tombstone: seq&tombstoneBit != 0,
		since: time.Unix(0, int64(le.Uint64(rest[12:]))), offset: here, length: int(length), //nolint:gosec // any bits are a time
	}
	subject := int(le.Uint16(rest[20:]))
	start := recordHead + subject
	if headers {
		start += 4
	}
	switch {
	case length > maxRecord || int(length) < start+recordHash:
		return r, "a record's length is wrong"
	case int(length) > len(rest):
		return r, cutOff
	}
	end := int(length) - recordHash
	h.Reset()
	h.Write(rest[4:20])
	h.Write(rest[recordHead : recordHead+subject])
	h.Write(rest[start:end])
	if !bytes.Equal(h.Sum(nil), rest[end:length]) {
		return r, "a record's checksum is wrong"
	}
	r.subject = string(rest[recordHead : recordHead+subject])
	if headers {
		n := int(le.Uint32(rest[start-4:]))
		if start+n > end {
			return r, "a record's headers are longer than it"
		}
		start += n
	}
	if !r.erased && !r.tombstone && !layout.IsSubjectOf(at, r.subject) {
		return r, "a record's subject is not one of " + string(at)
	}
	r.data = rest[start:end]
	return r, ""
}
