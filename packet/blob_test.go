package packet

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestVerify reads blobs in pieces of every kind: right ones come whole, and of
// wrong ones never as many as were promised, so that nobody takes them for whole.
func TestVerify(t *testing.T) {
	const text = "0123456789"
	b := Blob{Sum: sha256.Sum256([]byte(text)), Size: int64(len(text))}
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"whole":         func(r io.Reader) io.Reader { return r },
		"byte by byte":  iotest.OneByteReader,
		"half by half":  iotest.HalfReader,
		"data with EOF": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := io.ReadAll(Verify(b, reader(strings.NewReader(text)))); string(got) != text || err != nil {
				t.Errorf("what was stored: %q, %v", got, err)
			}
			for _, wrong := range []string{"", "01234", "x123456789", "012345678x", text + "0", text + text} {
				var got bytes.Buffer
				if _, err := io.Copy(&got, Verify(b, reader(strings.NewReader(wrong)))); !errors.Is(err, ErrDamagedBlob) || int64(got.Len()) >= b.Size && got.String() != text {
					t.Errorf("%q for %q: %d bytes were given, and %v", wrong, text, got.Len(), err)
				}
			}
		})
	}
}
