package link

import (
	"net/http"
	"time"
)

// piece is how much has to be taken by the other side within [stall].
const piece = 256 << 10

// A patient writes an answer that may take long as a whole, on a slow link, and
// fails where no [piece] of it is taken in time.
type patient struct {
	out *http.ResponseController
	w   http.ResponseWriter
}

func newPatient(w http.ResponseWriter) *patient {
	return &patient{out: http.NewResponseController(w), w: w}
}

// Write writes b, piece by piece.
func (p *patient) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		if err := p.out.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			return done, err
		}
		n, err := p.w.Write(b[done:min(done+piece, len(b))])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Flush sends what was written, and ends the time limit: one that passes later
// would end the stream although nobody waits.
func (p *patient) Flush() error {
	if err := p.out.Flush(); err != nil {
		return err
	}
	return p.out.SetWriteDeadline(time.Time{})
}
