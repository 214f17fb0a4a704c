package packet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"
)

// fileJSON is our shape of a .pkt file, in the order in which it is written.
type fileJSON struct {
	ID        *ID           `json:"id,omitempty"`
	Ship      string        `json:"ship,omitempty"`
	ShipName  string        `json:"ship_name,omitempty"`
	Container *ID           `json:"container,omitempty"`
	Fragment  *fragmentJSON `json:"fragment,omitempty"`
	State     string        `json:"state"`
	dataJSON
	Attributes  Attributes   `json:"attributes,omitempty"`
	Path        []uint64     `json:"path,omitempty"`
	Families    []familyJSON `json:"families,omitempty"`
	Round       int32        `json:"round,omitempty"`
	Failing     *time.Time   `json:"failing,omitempty"`
	Attempt     int32        `json:"attempt,omitempty"`
	DeadLetters int32        `json:"dead_letters,omitempty"`
	Hops        []hopJSON    `json:"hops,omitempty"`
	Fault       *faultJSON   `json:"fault,omitempty"`
	Stop        string       `json:"stop,omitempty"`
	Goal        State        `json:"goal,omitempty"`
	GoalNode    string       `json:"goal_node,omitempty"`
	Track       bool         `json:"track,omitempty"`
	Follow      *ID          `json:"follow,omitempty"`
	Trace       string       `json:"traceparent,omitempty"`
	Deadline    *time.Time   `json:"deadline,omitempty"`
}

type familyJSON struct {
	State State `json:"state"`
	ID    ID    `json:"id"`
}

type fragmentJSON struct {
	Index uint32 `json:"index"`
	Count uint32 `json:"count"`
}

// dataJSON is data as text or, where it is none, in base64.
type dataJSON struct {
	Text *string `json:"data,omitempty"`
	Code *string `json:"data64,omitempty"`
}

type hopJSON struct {
	Seed    string    `json:"seed"`
	Version string    `json:"version,omitempty"`
	Node    string    `json:"node"`
	At      time.Time `json:"at"`
	State   State     `json:"state,omitempty"`
	*dataJSON
}

type faultJSON struct {
	Error    string `json:"error"`
	Output   string `json:"output,omitempty"`
	State    State  `json:"state"`
	Attempts int    `json:"attempts"`
}

// MarshalJSON writes f in our shape, whatever it was read from; [ParseFile]
// reads it back. Classic and Ignored are not written, and bytes that are not
// UTF-8 are replaced in everything but data.
func (f File) MarshalJSON() ([]byte, error) {
	p := &f.Packet
	out := fileJSON{
		State:       string(p.State),
		dataJSON:    dataOf(p.Data),
		Attempt:     p.Attempt,
		DeadLetters: p.DeadLetters,
	}
	if f.Group != "" {
		out.State = p.State.Tag(f.Group)
	}
	if !p.ID.IsZero() {
		out.ID = &p.ID
	}
	if p.Ship != (Ship{}) {
		out.Ship = p.Ship.String()
	}
	if p.Extra != nil {
		out.extra(p.Extra)
	}
	for hop := p.Trail; hop != nil; hop = hop.Prev {
		h := hopJSON{Seed: hop.Seed, Version: hop.Version, Node: hop.Node, At: hop.At, State: hop.State}
		if hop.State != "" {
			data := dataOf(hop.Data)
			h.dataJSON = &data
		}
		out.Hops = append(out.Hops, h)
	}
	slices.Reverse(out.Hops)
	if p.Fault != nil {
		out.Fault = &faultJSON{p.Fault.Error, p.Fault.Output, p.Fault.State, p.Fault.Attempts}
	}
	if w := p.Wish; w != nil {
		out.Stop, out.Goal, out.GoalNode, out.Track, out.Trace = w.Stop, w.Goal, w.GoalNode, w.Track, w.Trace.String()
		if !w.Deadline.IsZero() {
			out.Deadline = &w.Deadline
		}
		if !w.Follow.IsZero() {
			out.Follow = &w.Follow
		}
	}
	// Whether < and > are escaped is for the caller's encoder to say.
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func (out *fileJSON) extra(e *Extra) {
	if !e.Container.IsZero() {
		out.Container = &e.Container
	}
	if e.Fragment != (Fragment{}) {
		out.Fragment = &fragmentJSON{e.Fragment.Index, e.Fragment.Count}
	}
	out.ShipName, out.Attributes, out.Path, out.Round = e.ShipName, e.Attributes, e.Path.Numbers(), e.Round
	if e.Failing > 0 {
		since := time.Unix(e.Failing, 0).UTC()
		out.Failing = &since
	}
	for _, f := range e.Families {
		out.Families = append(out.Families, familyJSON(f))
	}
}

func dataOf(data string) dataJSON {
	if utf8.ValidString(data) {
		return dataJSON{Text: &data}
	}
	code := base64.StdEncoding.EncodeToString([]byte(data))
	return dataJSON{Code: &code}
}
