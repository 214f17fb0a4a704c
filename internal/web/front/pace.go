package front

import (
	"io"
	"net/http"
	"time"
)

// pace has a time limit hold for each read and each write of a request, which may
// last as long as it moves: data is large, and the events are endless. What lies
// between them is the node's time, not the client's. done is called at the end.
func pace(w http.ResponseWriter, r *http.Request, patience time.Duration) (paced http.ResponseWriter, done func()) {
	ctl := http.NewResponseController(w)
	// Errors mean that there is no connection, as in tests.
	ctl.SetWriteDeadline(time.Time{})
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &pacedBody{r.Body, ctl, patience}
	}
	// What is left in the buffers goes out when the request is over, and what is left
	// of the body is read.
	return &pacedWriter{w, ctl, patience}, func() {
		ctl.SetReadDeadline(time.Now().Add(patience))
		ctl.SetWriteDeadline(time.Now().Add(patience))
	}
}

type pacedBody struct {
	io.ReadCloser
	ctl      *http.ResponseController
	patience time.Duration
}

func (b *pacedBody) Read(p []byte) (int, error) {
	b.ctl.SetReadDeadline(time.Now().Add(b.patience))
	n, err := b.ReadCloser.Read(p)
	// A limit that passes while nothing is read would end the request all the same.
	b.ctl.SetReadDeadline(time.Time{})
	return n, err
}

type pacedWriter struct {
	http.ResponseWriter
	ctl      *http.ResponseController
	patience time.Duration
}

// Unwrap is for [http.ResponseController].
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pacedWriter) Write(p []byte) (int, error) {
	w.ctl.SetWriteDeadline(time.Now().Add(w.patience))
	n, err := w.ResponseWriter.Write(p)
	w.ctl.SetWriteDeadline(time.Time{})
	return n, err
}

// FlushError is what [http.ResponseController] flushes with.
func (w *pacedWriter) FlushError() error {
	w.ctl.SetWriteDeadline(time.Now().Add(w.patience))
	err := w.ctl.Flush()
	w.ctl.SetWriteDeadline(time.Time{})
	return err
}
