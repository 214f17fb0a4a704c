package packet

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// A Sum is the SHA-256 of data.
type Sum [sha256.Size]byte

// A Blob is data that lies in the store beside its packet.
type Blob struct {
	Sum  Sum
	Size int64 // in bytes
}

// ErrDamagedBlob is a blob whose content is not what was stored.
var ErrDamagedBlob = errors.New("large data in the store is damaged")

// Verify reads b through r and fails with [ErrDamagedBlob] if it is not what was
// stored. It does so before it gives the last bytes: who waits for all of them
// never has wrong data, also when they are passed on as they come.
func Verify(b Blob, r io.Reader) io.Reader {
	return &verifier{r: r, blob: b, hash: sha256.New()}
}

type verifier struct {
	r    io.Reader
	blob Blob
	hash hash.Hash
	n    int64
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.n += int64(n)
	v.hash.Write(p[:n]) // never fails, says hash.Hash
	last := n > 0 && v.n >= v.blob.Size || err == io.EOF
	if last && (v.n != v.blob.Size || Sum(v.hash.Sum(nil)) != v.blob.Sum) {
		return 0, fmt.Errorf("%x: %w", v.blob.Sum[:8], ErrDamagedBlob)
	}
	return n, err
}
