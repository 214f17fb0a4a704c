package wire

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/recap/pumpkin/packet"
)

// A Reply is what one frame of a worker tells.
type Reply struct {
	// Started is the packet that has begun to run, or -1.
	Started int64
	Emit    []Emit
	Done    []Done
	Log     []string
	// Sync asks to be told when all outputs so far are stored.
	Sync bool
	// Back is the first of the runs that are given back, or -1.
	Back int64
}

// Nothing is a reply that tells nothing.
func Nothing() *Reply { return &Reply{Started: -1, Back: -1} }

// An Emit is one output of a run: its state as the worker wrote it, how many
// bytes of the blob are its data, and the attributes that it sets, nil for none.
type Emit struct {
	N          int64
	State      string
	Size       int64
	Attributes packet.Attributes
}

// A Done is the verdict on a packet.
type Done struct {
	N      int64
	Failed bool
	Error  string
	Output string
	How
}

// How is what a failure says beside its text.
type How struct {
	// Cut says that the run was ended from outside.
	Cut bool `json:"cut,omitempty"`
	// Final says that the run is not to be tried again.
	Final bool `json:"final,omitempty"`
	// Later says that it is to be tried again later, After seconds at the
	// earliest.
	Later bool    `json:"later,omitempty"`
	After float64 `json:"after,omitempty"`
}

// Reset makes the reply tell nothing, and keeps its memory.
func (r *Reply) Reset() {
	r.Started, r.Sync, r.Back = -1, false, -1
	clear(r.Emit) // of attributes
	r.Emit, r.Done = r.Emit[:0], r.Done[:0]
	clear(r.Log)
	r.Log = r.Log[:0]
}

// Empty tells whether the reply tells nothing.
func (r *Reply) Empty() bool {
	return r.Started < 0 && len(r.Emit) == 0 && len(r.Done) == 0 && len(r.Log) == 0 && r.Back < 0
}

// Append appends the reply as a header.
func (r *Reply) Append(dst []byte) []byte {
	dst = append(dst, '{')
	if r.Started >= 0 {
		dst = strconv.AppendInt(append(dst, `"started":`...), r.Started, 10)
		dst = append(dst, ',')
	}
	if len(r.Emit) > 0 {
		dst = append(dst, `"emit":[`...)
		for _, e := range r.Emit {
			dst = strconv.AppendInt(append(dst, '['), e.N, 10)
			dst = AppendString(append(dst, ','), e.State)
			dst = strconv.AppendInt(append(dst, ','), e.Size, 10)
			if len(e.Attributes) > 0 {
				dst = appendAttributes(append(dst, ','), e.Attributes)
			}
			dst = append(dst, ']', ',')
		}
		dst = append(dst[:len(dst)-1], ']', ',')
	}
	if len(r.Done) > 0 {
		dst = append(dst, `"done":[`...)
		for _, d := range r.Done {
			dst = strconv.AppendInt(append(dst, '['), d.N, 10)
			if d.Failed {
				dst = AppendString(append(dst, ','), d.Error)
				dst = AppendString(append(dst, ','), d.Output)
				if d.How != (How{}) {
					how, err := json.Marshal(d.How)
					if err != nil {
						panic(err) // there is nothing in it that could not be written
					}
					dst = append(append(dst, ','), how...)
				}
			}
			dst = append(dst, ']', ',')
		}
		dst = append(dst[:len(dst)-1], ']', ',')
	}
	if len(r.Log) > 0 {
		dst = append(dst, `"log":[`...)
		for _, line := range r.Log {
			dst = append(AppendString(dst, line), ',')
		}
		dst = append(dst[:len(dst)-1], ']', ',')
	}
	if r.Back >= 0 {
		dst = strconv.AppendInt(append(dst, `"back":`...), r.Back, 10)
		dst = append(dst, ',')
	}
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

// Parse reads a worker's header. It keeps nothing of header. The sizes of the
// outputs make up blob.
func (r *Reply) Parse(header []byte, blob int64) error {
	if !r.parseFast(header) {
		r.Reset()
		if err := r.parseSlow(header); err != nil {
			return err
		}
	}
	sum := int64(0)
	for _, e := range r.Emit {
		if e.Size < 0 || e.Size > blob-sum {
			return Violation(fmt.Sprintf("an output of %d bytes in a blob of %d", e.Size, blob))
		}
		sum += e.Size
	}
	if sum != blob {
		return Violation(fmt.Sprintf("a blob of %d bytes; its outputs have %d", blob, sum))
	}
	return nil
}

// parseSlow judges what parseFast did not take.
func (r *Reply) parseSlow(header []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(header, &keys); err != nil {
		return Violation(fmt.Sprintf("a header that does not parse: %v", err))
	}
	var emits, dones [][]json.RawMessage
	for key, into := range map[string]any{"started": &r.Started, "emit": &emits, "done": &dones, "log": &r.Log, "sync": &r.Sync, "back": &r.Back} {
		raw, ok := keys[key]
		if !ok {
			continue
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return Violation(fmt.Sprintf("the key %q: %v", key, err))
		}
	}
	for _, fields := range emits {
		var e Emit
		if err := decode("emit", fields, 3, &e.N, &e.State, &e.Size, &e.Attributes); err != nil {
			return err
		}
		r.Emit = append(r.Emit, e)
	}
	for _, fields := range dones {
		d := Done{Failed: len(fields) > 1}
		if err := decode("done", fields, 1, &d.N, &d.Error, &d.Output, &d.How); err != nil {
			return err
		}
		r.Done = append(r.Done, d)
	}
	return nil
}
