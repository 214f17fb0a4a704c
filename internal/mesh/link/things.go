package link

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// appendFrame puts a frame into the store.
func appendFrame(s *session, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to := store.Queue(q.Get("place"))
	f := store.Frame{}
	err := to.Check()
	if err == nil {
		f.Packets, err = strconv.Atoi(q.Get("packets"))
	}
	if err == nil {
		f.Rank, err = rank(q.Get("rank"))
	}
	if err == nil && (r.ContentLength < 1 || r.ContentLength > store.MaxFrame) {
		err = fmt.Errorf("a frame of %d bytes; expected 1 to %d", r.ContentLength, store.MaxFrame)
	}
	if err != nil {
		refuse(w, fmt.Errorf("%w: %w", errBad, err))
		return
	}
	f.Data = make([]byte, r.ContentLength)
	body := newMoving(w, r.Body)
	if _, err := io.ReadFull(body, f.Data); err != nil {
		refuse(w, fmt.Errorf("%w: read the frame: %w", errBad, err))
		return
	}
	if err := (&store.Tx{Append: []store.Append{{To: to, Frame: f}}}).Check(); err != nil {
		refuse(w, fmt.Errorf("%w: %w", errBad, err))
		return
	}
	if err := s.store.Append(r.Context(), to, f); err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// blobOf reads which blob a request means.
func blobOf(r *http.Request) (packet.Blob, error) {
	var b packet.Blob
	sum := r.PathValue("sum")
	if len(sum) != 2*len(b.Sum) {
		return b, fmt.Errorf("%w: a sum of %d digits; expected %d", errBad, len(sum), 2*len(b.Sum))
	}
	if _, err := hex.Decode(b.Sum[:], []byte(sum)); err != nil {
		return b, fmt.Errorf("%w: the sum: %w", errBad, err)
	}
	size, err := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
	if err == nil && size < 0 {
		err = errors.New("it is negative")
	}
	if err != nil {
		return b, fmt.Errorf("%w: the size: %w", errBad, err)
	}
	b.Size = size
	return b, nil
}

func getBlob(s *session, w http.ResponseWriter, r *http.Request) {
	b, err := blobOf(r)
	if err != nil {
		refuse(w, err)
		return
	}
	in, err := s.store.OpenBlob(r.Context(), b)
	if err != nil {
		refuse(w, err)
		return
	}
	defer in.Close() // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(b.Size, 10))
	out := newPatient(w)
	buf := make([]byte, streamBuffer)
	for left := b.Size; left > 0; {
		n, err := in.Read(buf[:min(left, int64(len(buf)))])
		if n > 0 {
			if _, err := out.Write(buf[:n]); err != nil {
				panic(http.ErrAbortHandler)
			}
			left -= int64(n)
		}
		if left > 0 && (err != nil || r.Context().Err() != nil) {
			panic(http.ErrAbortHandler) // the answer has begun: cutting it off is all that can tell
		}
	}
}

func putBlob(s *session, w http.ResponseWriter, r *http.Request) {
	b, err := blobOf(r)
	if err == nil && r.ContentLength != b.Size {
		err = fmt.Errorf("%w: a body of %d bytes; expected %d", errBad, r.ContentLength, b.Size)
	}
	if err == nil {
		err = s.store.PutBlob(r.Context(), b, newMoving(w, r.Body))
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func dropBlob(s *session, w http.ResponseWriter, r *http.Request) {
	b, err := blobOf(r)
	if err == nil {
		err = s.store.DropBlob(r.Context(), b)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// moving reads a body that has to keep moving: one that stands still for too
// long fails.
type moving struct {
	out *http.ResponseController
	r   io.Reader
}

func newMoving(w http.ResponseWriter, r io.Reader) *moving {
	return &moving{out: http.NewResponseController(w), r: r}
}

func (m *moving) Read(p []byte) (int, error) {
	if err := m.out.SetReadDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return m.r.Read(p)
}
