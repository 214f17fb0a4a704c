package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/recap/pumpkin/internal/store"
)

// A salvage reads what can be read of an engine's tables.
type salvage struct {
	db     *engine.DB // nil where there is none
	bounds [][]byte   // where its tables begin and end, in order
	damage []Damage
}

func (f *salvage) found(d Damage) { f.damage = append(f.damage, d) }

func parseFrameKey(key []byte) (store.Queue, uint64, error) {
	n := len(key) - 9
	if n < 2 || key[n] != 0 || store.Queue(key[1:n]).Check() != nil {
		return "", 0, errLayout
	}
	return store.Queue(key[1:n]), numberOf(key), nil
}

// each shows what is stored from one key to before another. What cannot be read
// is noted and left out.
func (f *salvage) each(ctx context.Context, from, to []byte, visit func(key, value []byte) error) error {
	if f.db == nil {
		return ctx.Err()
	}
	for from != nil {
		next, err := f.eachUntil(ctx, from, to, visit)
		if err != nil {
			return err
		}
		from = next
	}
	return nil
}

// eachUntil goes as far as can be read. next, unless nil, is where to go on.
func (f *salvage) eachUntil(ctx context.Context, from, to []byte, visit func(key, value []byte) error) (next []byte, err error) {
	it, err := f.db.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		from = append(bytes.Clone(it.Key()), 0)
		if err = errors.Join(ctx.Err(), visit(it.Key(), it.Value())); err != nil {
			_ = it.Close() // the first error says more
			return nil, err
		}
	}
	failed := it.Error()
	_ = it.Close() // it gives the same
	if failed == nil || ctx.Err() != nil {
		return nil, ctx.Err()
	}
	next = f.readable(from, to)
	f.found(unread(from, next, failed))
	return next, nil
}

// unread is what was not read from one key to another.
func unread(from, next []byte, why error) Damage {
	d := Damage{What: "cannot be read: " + reason(why)}
	q, number, err := parseFrameKey(bytes.TrimSuffix(from, []byte{0}))
	if err != nil {
		q, number, err = parseFrameKey(from)
	} else {
		number++ // the last that was read
	}
	if err == nil && from[0] == keyFrame {
		d.Queue, d.First = q, number
		if to, upTo, err := parseFrameKey(next); err == nil && to == q {
			d.Last = upTo - 1
			return d
		}
		d.What = fmt.Sprintf("frames from number %d on, and perhaps of the next queues: %s", number, d.What)
		d.First = 0
		return d
	}
	d.What = fmt.Sprintf("keys from %q to %q: %s", from, next, d.What)
	return d
}

// readable finds the first key from which on the store can be read again, behind
// a place that is damaged; nil if there is none before to.
func (f *salvage) readable(from, to []byte) []byte {
	works := func(key []byte) ([]byte, bool) {
		it, err := f.db.NewIter(&engine.IterOptions{LowerBound: key, UpperBound: to})
		if err != nil {
			return nil, false
		}
		defer it.Close()
		if it.First() {
			return bytes.Clone(it.Key()), true
		}
		return nil, it.Error() == nil
	}
	// Behind the same queue's next frames, whose numbers are in order.
	if base, number := numbered(from); base != nil {
		behind := func(step uint64) []byte { return binary.BigEndian.AppendUint64(bytes.Clone(base), number+step) }
		for step := uint64(1); number+step > number && step < 1<<62; step *= 2 {
			found, ok := works(behind(step))
			if !ok {
				continue
			}
			if found == nil || !bytes.HasPrefix(found, base) {
				break // the bounds of tables may be nearer
			}
			// Nearer: from step/2 it cannot be read, from step it can.
			for low, high := step/2, step; high-low > 1; {
				middle := low + (high-low)/2
				if key, ok := works(behind(middle)); ok {
					high, found = middle, key
				} else {
					low = middle
				}
			}
			return found
		}
	}
	end, found := to, []byte(nil)
	for _, bound := range f.bounds {
		if bytes.Compare(bound, from) <= 0 || to != nil && bytes.Compare(bound, to) >= 0 {
			continue
		}
		if key, ok := works(bound); ok {
			end, found = bound, key
			break
		}
	}
	// Nearer: from the one it cannot be read, from the other it can.
	for low, high := keyNumber(from), keyNumber(end); ; {
		middle := new(big.Int).Add(low, high)
		middle.Rsh(middle, 1)
		if middle.Cmp(low) == 0 {
			return found
		}
		if key, ok := works(middle.FillBytes(make([]byte, keyDigits))); ok {
			high = middle
			if key != nil {
				found = key
			}
		} else {
			low = middle
		}
	}
}

// keyDigits is how many bytes of keys are compared when what can be read is looked
// for.
const keyDigits = 64

// keyNumber is a number in the order of keys; that of no key is behind all.
func keyNumber(key []byte) *big.Int {
	digits := make([]byte, keyDigits)
	copy(digits, key)
	if key == nil {
		digits = bytes.Repeat([]byte{0xff}, keyDigits)
	}
	return new(big.Int).SetBytes(digits)
}

// numbered takes apart a key that ends with a number, perhaps with a zero behind.
func numbered(key []byte) (base []byte, number uint64) {
	if len(key) == 0 || key[0] != keyFrame {
		return nil, 0
	}
	for _, k := range [][]byte{key, bytes.TrimSuffix(key, []byte{0})} {
		if _, number, err := parseFrameKey(k); err == nil {
			return k[:len(k)-8], number
		}
	}
	return nil, 0
}
