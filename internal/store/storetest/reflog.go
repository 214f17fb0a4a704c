package storetest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// A refLog is the file with the entries of a reference: the length of each, and
// the entry in gob's form.
type refLog struct {
	file    *os.File
	buffer  *bufio.Writer
	entries int
}

// An entry is a transaction, or what happened to the frame with that id: it was
// leased, its delay ended and it got a number, or its delay ends at another time.
type entry struct {
	Since  time.Time
	Append []store.Append
	Put    []store.Record
	Delete []store.Key
	Gone   []uint64 // ids
	ID     uint64
	Leased bool
	Number uint64
	Due    time.Time
}

// openLog has replay do every whole entry of the file, and opens it for more.
func openLog(path string, replay func(entry)) (*refLog, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	whole := int64(0)
	for in := bufio.NewReader(file); ; {
		e, n, err := readEntry(in)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break // the kill may have come within the last entry
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s, byte %d: %w", path, whole, err), file.Close())
		}
		replay(e)
		whole += n
	}
	err = file.Truncate(whole)
	if err == nil {
		_, err = file.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	// So that late writes are as late as they are meant to be.
	return &refLog{file: file, buffer: bufio.NewWriterSize(file, 1<<20)}, nil
}

func readEntry(r io.Reader) (e entry, n int64, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return e, 0, err
	}
	data := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(r, data); err != nil {
		return e, 0, io.ErrUnexpectedEOF
	}
	err = gob.NewDecoder(bytes.NewReader(data)).Decode(&e)
	return e, int64(len(head) + len(data)), err
}

// write writes an entry; late has it stay in memory for a while.
func (l *refLog) write(e entry, late bool) error {
	var data bytes.Buffer
	if err := gob.NewEncoder(&data).Encode(e); err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(data.Len()))
	if _, err := l.buffer.Write(append(head, data.Bytes()...)); err != nil {
		return err
	}
	if l.entries++; late && l.entries%100 != 0 {
		return nil
	}
	return l.buffer.Flush()
}

func (l *refLog) close() error { return errors.Join(l.buffer.Flush(), l.file.Close()) }
