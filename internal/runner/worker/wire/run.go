package wire

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/recap/pumpkin/packet"
)

// An Entry is one packet of a run frame.
type Entry struct {
	N       int64
	State   string
	Size    int64
	ID      string
	Ship    string
	Attempt int
	Trace   string // the run's place in a trace, as a traceparent; "" for none
}

// AppendEntry appends the entry of the packet that is the n-th its worker is
// given, with its id, ship and attempt if meta, and then
// its traceparent if there is one.
func AppendEntry(dst []byte, n int64, p *packet.Packet, meta bool) []byte {
	dst = strconv.AppendInt(append(dst, '['), n, 10)
	dst = AppendString(append(dst, ','), string(p.State))
	dst = strconv.AppendInt(append(dst, ','), p.DataSize(), 10)
	if meta {
		dst = AppendString(append(dst, ','), p.ID.String())
		dst = AppendString(append(dst, ','), p.Ship.String())
		dst = strconv.AppendInt(append(dst, ','), int64(p.Attempt), 10)
		if p.Wish != nil && !p.Wish.Trace.IsZero() {
			dst = AppendString(append(dst, ','), p.Wish.Trace.String())
		}
	}
	return append(dst, ']')
}

// ParseRun reads a header to the worker: the packets of a run, and whether to
// stop afterwards. The sizes of the packets make up blob.
func ParseRun(header []byte, blob int64) (run []Entry, stop bool, err error) {
	var h struct {
		Run  [][]json.RawMessage `json:"run"`
		Stop bool                `json:"stop"`
	}
	if err := json.Unmarshal(header, &h); err != nil {
		return nil, false, Violation(fmt.Sprintf("a header that does not parse: %v", err))
	}
	sum := int64(0)
	for _, fields := range h.Run {
		var e Entry
		if err := decode("run", fields, 3, &e.N, &e.State, &e.Size, &e.ID, &e.Ship, &e.Attempt, &e.Trace); err != nil {
			return nil, false, err
		}
		if e.Size < 0 || e.Size > blob-sum {
			return nil, false, Violation(fmt.Sprintf("packet %d has %d bytes in a blob of %d", e.N, e.Size, blob))
		}
		sum += e.Size
		run = append(run, e)
	}
	if sum != blob {
		return nil, false, Violation(fmt.Sprintf("a blob of %d bytes; its packets have %d", blob, sum))
	}
	return run, h.Stop, nil
}

// decode reads an entry of a header, a list of at least least fields, into
// what the pointers point to.
func decode(what string, fields []json.RawMessage, least int, into ...any) error {
	if len(fields) < least || len(fields) > len(into) {
		return Violation(fmt.Sprintf("an entry of %q with %d fields; expected %d to %d", what, len(fields), least, len(into)))
	}
	for i, f := range fields {
		if string(f) == "null" {
			return Violation(fmt.Sprintf("field %d of an entry of %q is null", i, what))
		}
		if err := json.Unmarshal(f, into[i]); err != nil {
			return Violation(fmt.Sprintf("field %d of an entry of %q: %v", i, what, err))
		}
	}
	return nil
}
