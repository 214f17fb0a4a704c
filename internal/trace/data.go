package trace

import (
	"encoding/hex"
	"encoding/json"
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
	Head string
	// Size is how many bytes all of it has.
	Size int64
	// SHA256 names data that lies apart because it is large; else "".
	SHA256 string
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
	return &Data{Head: strings.Clone(head), Size: int64(len(data))}
}

// OfBlob is data of which nothing is kept but its name and size.
func OfBlob(b packet.Blob) *Data {
	return &Data{Size: b.Size, SHA256: hex.EncodeToString(b.Sum[:])}
}

func (d *Data) kept() int {
	if d == nil {
		return 0
	}
	return len(d.Head)
}

func (d *Data) size() int {
	if d == nil {
		return 0
	}
	return 64 + len(d.Head)
}

// Whole tells whether the head is all there was.
func (d *Data) Whole() bool { return int64(len(d.Head)) == d.Size }

// dataJSON has the head as text where it is UTF-8, and in base64 where not.
type dataJSON struct {
	Text   *string `json:"text,omitempty"`
	Bytes  []byte  `json:"base64,omitempty"`
	Size   int64   `json:"size"`
	SHA256 string  `json:"sha256,omitempty"`
}

// MarshalJSON writes the head as text, or in base64 where it is none.
func (d Data) MarshalJSON() ([]byte, error) {
	out := dataJSON{Size: d.Size, SHA256: d.SHA256}
	if utf8.ValidString(d.Head) {
		out.Text = &d.Head
	} else {
		out.Bytes = []byte(d.Head)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Data) UnmarshalJSON(text []byte) error {
	var in dataJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*d = Data{Head: string(in.Bytes), Size: in.Size, SHA256: in.SHA256}
	if in.Text != nil {
		d.Head = *in.Text
	}
	return nil
}
