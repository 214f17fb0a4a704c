package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/recap/pumpkin/internal/inject"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// utf16Text is said of data that is probably text in UTF-16: most programs, and --lines, take text
// for UTF-8.
const utf16Text = "begins as text in UTF-16 does, and is taken as it is; for UTF-8, which most seeds expect: iconv -f UTF-16 -t UTF-8"

// isUTF16 tells whether data that begins so is probably text in UTF-16.
func isUTF16(begin string) bool {
	return strings.HasPrefix(begin, "\xff\xfe") || strings.HasPrefix(begin, "\xfe\xff")
}

// warnUTF16 is in, and has a line said if what it gives is probably text in UTF-16.
func (a *app) warnUTF16(in io.Reader) io.Reader {
	look := func(begin []byte) {
		if isUTF16(string(begin)) {
			fmt.Fprintln(a.err, "the data "+utf16Text)
		}
	}
	if at, from, _ := repeatable(in); at != nil {
		begin := make([]byte, 2)
		n, _ := at.ReadAt(begin, from) // who reads it sees the error
		look(begin[:n])
		return in
	}
	return &beginning{Reader: in, look: look}
}

// A beginning shows the first two bytes that are read.
type beginning struct {
	io.Reader
	look func([]byte)
	seen []byte
}

func (b *beginning) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if missing := 2 - len(b.seen); missing > 0 && n > 0 {
		b.seen = append(b.seen, p[:min(n, missing)]...)
		if len(b.seen) == 2 {
			b.look(b.seen)
		}
	}
	return n, err
}

// A utf16Watch says of one way into the node, once, that what comes there is probably text in
// UTF-16.
type utf16Watch struct {
	log  *slog.Logger
	once sync.Once
}

// look is shown how data begins, and what it is.
func (u *utf16Watch) look(begin, what string) {
	if isUTF16(begin) {
		u.once.Do(func() { u.log.Warn(what + " " + utf16Text) })
	}
}

// handler shows the data that requests to next bring.
func (u *utf16Watch) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.Body != nil && strings.HasSuffix(r.URL.Path, "/packets") {
			look := func(begin []byte) { u.look(string(begin), "the data of a request to "+r.URL.Path) }
			r.Body = body{&beginning{Reader: r.Body, look: look}, r.Body}
		}
		next.ServeHTTP(w, r)
	})
}

// A body is read by one and closed by another.
type body struct {
	io.Reader
	io.Closer
}

// intake has a node take files.
type intake struct {
	*node.Node
	utf16 *utf16Watch
}

func (n intake) Inject(ctx context.Context, p packet.Packet) error {
	n.see(&p, p.Data)
	return n.Node.Inject(ctx, p)
}

func (n intake) InjectData(ctx context.Context, p packet.Packet, r io.Reader, size int64, with ...store.Record) error {
	look := func(begin []byte) { n.see(&p, string(begin)) }
	return n.Node.InjectData(ctx, p, &beginning{Reader: r, look: look}, size, with...)
}

func (n intake) Batch() inject.Batch { return intakeBatch{n.Node.Intake(), n} }

func (n intake) see(p *packet.Packet, begin string) {
	n.utf16.look(begin, fmt.Sprintf("the file %s", p.Attributes()[packet.FileAttribute]))
}

// An intakeBatch is an [inject.Batch] of a node.
type intakeBatch struct {
	*node.Intake
	way intake
}

func (b intakeBatch) Put(ctx context.Context, p packet.Packet, with ...store.Record) error {
	b.way.see(&p, p.Data)
	return b.Intake.Put(ctx, p, with...)
}
