package trace

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/recap/pumpkin/packet"
)

// MaxData is how many bytes of a tracked packet's data are kept with a run, and
// MaxShipData how many of a ship's on one node: what is beyond is told by its
// size.
const (
	MaxData     = 64 << 10
	MaxShipData = 1 << 20
)

// Data is some of a packet's data: the head of it, and how much there was.
type Data struct {
	// Text is the head where it is UTF-8; else Bytes is.
	Text  *string `json:"data,omitempty"`
	Bytes []byte  `json:"data64,omitempty"`
	// Size is how many bytes all of it has.
	Size int64 `json:"size"`
	// SHA256 names data that lies apart because it is large; else "".
	SHA256 string `json:"sha256,omitempty"`
}

// Head is what is kept of the data.
func (d *Data) Head() string {
	if d.Text != nil {
		return *d.Text
	}
	return string(d.Bytes)
}

// HeadOf keeps at most most bytes of data, in a copy of its own.
func HeadOf(data string, most int) *Data {
	head := data
	if len(head) > most {
		head = head[:max(most, 0)]
		if utf8.ValidString(data) { // not within a letter
			head = strings.ToValidUTF8(head, "")
		}
	}
	d := &Data{Size: int64(len(data))}
	d.keep(head)
	return d
}

// keep keeps a copy of the head.
func (d *Data) keep(head string) {
	d.Text, d.Bytes = nil, nil
	if utf8.ValidString(head) {
		head = strings.Clone(head)
		d.Text = &head
	} else {
		d.Bytes = []byte(head)
	}
}

// OfBlob is data of which nothing is kept but its name and size.
func OfBlob(b packet.Blob) *Data {
	return &Data{Size: b.Size, SHA256: hex.EncodeToString(b.Sum[:])}
}

func (d *Data) kept() int {
	if d == nil {
		return 0
	}
	return len(d.Head())
}

func (d *Data) size() int {
	if d == nil {
		return 0
	}
	return 64 + len(d.Head())
}

// Whole tells whether the head is all there was.
func (d *Data) Whole() bool { return int64(len(d.Head())) == d.Size }
