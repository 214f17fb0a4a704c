package disk

import (
	"context"
	"os"
)

// A Writer writes to a file and waits for the disk.
type Writer struct {
	ctx  context.Context
	disk *Disk
	file *os.File
}

// Writer writes to a file until ctx ends.
func (d *Disk) Writer(ctx context.Context, file *os.File) *Writer {
	return &Writer{ctx, d, file}
}

// Write writes all of p, or says why it gave up.
func (w *Writer) Write(p []byte) (n int, err error) {
	err = w.disk.try(w.ctx, ofFile, func() error {
		more, err := w.file.Write(p[n:])
		n += more
		return err
	})
	return n, err
}
