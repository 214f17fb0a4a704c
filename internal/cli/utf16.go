package cli

import (
	"fmt"
	"io"
)

// warnUTF16 is in, and has a line said if what it gives begins as text in UTF-16 does:
// most programs, and --lines, take text for UTF-8.
func (a *app) warnUTF16(in io.Reader) io.Reader {
	look := func(begin []byte) {
		if string(begin) == "\xff\xfe" || string(begin) == "\xfe\xff" {
			fmt.Fprintln(a.err, "the data begins as text in UTF-16 does, and is sent as it is; for UTF-8, which most seeds expect: iconv -f UTF-16 -t UTF-8")
		}
	}
	if file, from, _ := regular(in); file != nil {
		begin := make([]byte, 2)
		n, _ := file.ReadAt(begin, from) // who reads it sees the error
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
