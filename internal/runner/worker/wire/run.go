package wire

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/recap/pumpkin/packet"
)

// An Entry is one part of a run. Entries of one run have the same N and follow
// one another; today each run has one.
type Entry struct {
	N          int64
	State      string
	Size       int64
	ID         string
	Ship       string
	Attempt    int
	Attributes packet.Attributes
	Trace      string // the run's place in a trace, as a traceparent; "" for none
}

// AppendEntry appends the entry of the only part of its worker's n-th run, with
// its id, ship, attempt and attributes if meta, and then its traceparent if
// there is one.
func AppendEntry(dst []byte, n int64, p *packet.Packet, meta bool) []byte {
	dst = strconv.AppendInt(append(dst, '['), n, 10)
	dst = AppendString(append(dst, ','), string(p.State))
	dst = strconv.AppendInt(append(dst, ','), p.DataSize(), 10)
	if meta {
		dst = AppendString(append(dst, ','), p.ID.String())
		dst = AppendString(append(dst, ','), p.Ship.String())
		dst = strconv.AppendInt(append(dst, ','), int64(p.Attempt), 10)
		dst = appendAttributes(append(dst, ','), p.Attributes())
		if p.Wish != nil && !p.Wish.Trace.IsZero() {
			dst = AppendString(append(dst, ','), p.Wish.Trace.String())
		}
	}
	return append(dst, ']')
}

// appendAttributes appends a JSON object, in any order.
func appendAttributes(dst []byte, a packet.Attributes) []byte {
	dst = append(dst, '{')
	for name, value := range a {
		dst = append(AppendString(dst, name), ':')
		dst = append(AppendString(dst, value), ',')
	}
	if len(a) > 0 {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

// parseAttributes reads a JSON object of texts; an empty one is nil.
func parseAttributes(raw json.RawMessage) (packet.Attributes, error) {
	var texts map[string]*string
	if err := json.Unmarshal(raw, &texts); err != nil {
		return nil, err
	}
	var all packet.Attributes
	for name, value := range texts {
		if value == nil {
			return nil, fmt.Errorf("%s is null; expected a text", AppendString(nil, name))
		}
		if all == nil {
			all = make(packet.Attributes, len(texts))
		}
		all[name] = *value
	}
	return all, nil
}

// ParseRun reads a header to the worker: the parts of its runs, and whether to
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
		if err := decode("run", fields, 3, &e.N, &e.State, &e.Size, &e.ID, &e.Ship, &e.Attempt, &e.Attributes, &e.Trace); err != nil {
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
		var err error
		if a, ok := into[i].(*packet.Attributes); ok {
			*a, err = parseAttributes(f)
		} else {
			err = json.Unmarshal(f, into[i])
		}
		if err != nil {
			return Violation(fmt.Sprintf("field %d of an entry of %q: %v", i, what, err))
		}
	}
	return nil
}
