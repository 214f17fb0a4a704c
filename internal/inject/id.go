package inject

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/recap/pumpkin/packet"
)

// idBytes is how much of a file's begin, and of its end, is looked at to know it: of a
// file of at most twice as much, all.
const idBytes = 64 << 10

// contentOf is a file's begin and end: idBytes of each, or all of it.
func contentOf(l stat, file io.ReaderAt) ([]byte, error) {
	content := make([]byte, min(l.size, 2*idBytes))
	first := min(len(content), idBytes)
	for _, part := range []struct {
		into []byte
		at   int64
	}{{content[:first], 0}, {content[first:], l.size - int64(len(content)-first)}} {
		switch _, err := file.ReadAt(part.into, part.at); {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if len(part.into) > 0 {
				return nil, errBusy // it has become shorter
			}
		default:
			return nil, refusal{fmt.Errorf("it cannot be read: %w", reason(err))}
		}
	}
	return content, nil
}

// fileID is the id of the packet that a file is: that of its path, inode, size,
// times of change, and content. So a file that is read again, because the node died
// before it was moved away, gives the packet that it gave before, and another one of
// the same name another packet.
func fileID(path string, l stat, content []byte) packet.ID {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return packet.HashID("file", path, strconv.FormatUint(l.inode, 10), number(l.size), number(l.changed), number(l.status), string(content))
}
