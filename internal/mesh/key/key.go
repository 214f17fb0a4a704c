// Package key is the key of a network and what is derived from it. A node with the
// key is in the network, and all others are not: the authority of the mutual TLS
// between nodes, the MAC of their beacons, the token of the web page and the name
// of the folder where nodes of one machine meet all come from it.
//
// A key is written as one line, which can be copied:
//
//	pumpkin-key-1-<56 characters of a-z and 2-7>
//
// The number is the version of the form. The characters are base32 (RFC 4648, in
// small letters, without padding) of the 32 bytes of the key and of the first
// three of SHA-256 over "pumpkin-key-1" and those 32, so that a slip of one
// character or a torn copy is found. Capital letters are read as small ones. Lines
// that begin with # are for people.
//
// Everything here is safe for concurrent use.
package key

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// size is that of a key, in bytes.
	size = 32
	// sumSize is that of the checksum in a key's text.
	sumSize = 3
	// family begins every key's text, of whatever version.
	family = "pumpkin-key-"
	// form begins the text of a key of this version.
	form = family + "1"
	// letters is how many characters follow the form and a hyphen.
	letters = (size + sumSize) * 8 / 5
)

// ErrNone is a text that holds no key at all.
var ErrNone = errors.New("there is no key")

// A Key is the secret that the nodes of a network share. Printing one does not
// show it; [Key.Text] does. The zero value is no key.
type Key struct {
	secret [size]byte
}

// New draws a key.
func New() Key {
	var k Key
	rand.Read(k.secret[:]) // never fails, says crypto/rand
	return k
}

// Text is the key as one line, without the line's end. It is as secret as the key.
func (k Key) Text() string {
	return form + "-" + encoding().EncodeToString(append(k.secret[:], k.sum()...))
}

// Format prints that there is a key, and nothing of it.
func (Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "key (secret)") // whoever prints sees to what fails
}

func (k Key) sum() []byte {
	h := sha256.New()
	h.Write([]byte(form))
	h.Write(k.secret[:])
	return h.Sum(nil)[:sumSize]
}

func encoding() *base32.Encoding {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
}

// IsText tells whether text is meant as a key, or a file's content with one, and not as
// the path of a file.
func IsText(text string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(text)), family) || strings.Contains(text, "\n")
}

// Parse reads a key from text that holds it on one line, among empty lines and
// those that begin with #. An error says which line is wrong and how, and shows
// nothing of what stands there; that no line is a key is [ErrNone].
func Parse(text string) (Key, error) {
	var found Key
	at := 0
	text = strings.TrimPrefix(text, "\ufeff") // some editors put it there
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if at != 0 {
			return Key{}, fmt.Errorf("line %d comes after the key in line %d; expected one key and nothing else but lines that begin with #", number, at)
		}
		k, err := parseLine(line)
		if err != nil {
			return Key{}, fmt.Errorf("line %d %w", number, err)
		}
		found, at = k, number
	}
	if at == 0 {
		return Key{}, ErrNone
	}
	return found, nil
}

// parseLine reads a line. Its errors go on after "line 3".
func parseLine(line string) (Key, error) {
	rest, ok := strings.CutPrefix(strings.ToLower(line), family)
	if !ok {
		return Key{}, fmt.Errorf("is not a key; expected %s- and %d characters", form, letters)
	}
	version, rest, _ := strings.Cut(rest, "-")
	if version != strings.TrimPrefix(form, family) {
		if _, err := strconv.ParseUint(version, 10, 16); err == nil {
			return Key{}, fmt.Errorf("is a key of version %s, and this pmk reads version 1: use the pmk that made it, or a newer one", version)
		}
		return Key{}, fmt.Errorf("is not a key; expected %s- and %d characters", form, letters)
	}
	if len(rest) != letters {
		return Key{}, fmt.Errorf("is a key with %d characters after %s-; expected %d: it was not copied completely, or more than the key was copied", len(rest), form, letters)
	}
	if i := strings.IndexFunc(rest, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') }); i >= 0 {
		return Key{}, fmt.Errorf("is a key whose character %d after %s- is none of a-z and 2-7: copy it again", i+1, form)
	}
	raw, err := encoding().DecodeString(rest)
	if err != nil {
		return Key{}, fmt.Errorf("is a key that cannot be read: copy it again") // the cause would show a part of it
	}
	var k Key
	copy(k.secret[:], raw)
	if !bytes.Equal(raw[size:], k.sum()) {
		return Key{}, errors.New("is a key whose checksum does not fit: some of it was changed; copy it again")
	}
	return k, nil
}
