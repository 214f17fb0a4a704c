package packet

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/recap/pumpkin/internal/strict"
)

// The longest node name and seed version, in bytes, that a file may have.
const (
	maxNode    = 255
	maxVersion = 64
)

// A reader reads the fields of one object of our shape. After the first error
// it reads nothing more, so that fields can be read one after the other and
// the error looked at once.
type reader struct {
	strict.Object
	err error
}

// open is the reader of an object with these fields.
func open(v strict.Value, fields ...string) *reader {
	o, err := v.Object(fields...)
	return &reader{o, err}
}

// field reads the field of that name with read, if it is there.
func field[T any](r *reader, name string, read func(strict.Value) (T, error)) T {
	var zero T
	if r.err != nil {
		return zero
	}
	v, ok := r.Get(name)
	if !ok {
		return zero
	}
	value, err := read(v)
	if err != nil {
		r.err = err
		return zero
	}
	return value
}

// parsed is a reader of texts that parse understands.
func parsed[T any](parse func(string) (T, error)) func(strict.Value) (T, error) {
	return func(v strict.Value) (T, error) {
		s, err := v.Text()
		if err != nil {
			var zero T
			return zero, err
		}
		value, err := parse(s)
		if err != nil {
			return value, v.Errorf("%v", err)
		}
		return value, nil
	}
}

// maxCount is the greatest number of attempts and the like that a file may say: a node counts
// on from it in 32 bits.
const maxCount = math.MaxInt32 / 2

func count(v strict.Value) (int, error) {
	n, err := v.Int(0, maxCount)
	return int(n), err
}

// text is a text as it stands.
func text(v strict.Value) (string, error) { return v.Text() }

// name is a seed's name.
func name(v strict.Value) (string, error) {
	return parsed(func(s string) (string, error) { return s, CheckName("seed's name", s) })(v)
}

func moment(v strict.Value) (time.Time, error) {
	return parsed(func(s string) (time.Time, error) { return time.Parse(time.RFC3339Nano, s) })(v)
}

// readFile reads a packet in our shape.
func readFile(v strict.Value) (File, error) {
	r := open(v, "id", "ship", "ship_name", "container", "fragment", "state", "data", "data64", "attributes",
		"path", "families", "round", "failing", "attempt", "dead_letters", "hops", "fault", "stop", "goal", "goal_node", "track",
		"deadline", "follow", "traceparent")
	var f File
	p := &f.Packet
	r.require("state")
	field(r, "state", func(v strict.Value) (s string, err error) {
		s, err = v.Text()
		if err == nil {
			if f.Group, p.State, err = ParseTag(s); err != nil {
				err = v.Errorf("%v", err)
			}
		}
		return s, err
	})
	p.Data = r.data(true)
	p.ID = field(r, "id", parsed(ParseID))
	p.Ship = field(r, "ship", readShip)
	extra := Extra{
		Container:  field(r, "container", parsed(ParseID)),
		Fragment:   field(r, "fragment", readFragment),
		ShipName:   field(r, "ship_name", parsed(func(s string) (string, error) { return s, CheckShipName(s) })),
		Attributes: field(r, "attributes", readAttributes),
		Path:       field(r, "path", readPath),
		Families:   field(r, "families", readFamilies),
		Round:      int32(field(r, "round", count)),
	}
	if since := field(r, "failing", moment); !since.IsZero() {
		extra.Failing = max(since.Unix(), 0)
	}
	if !extra.IsZero() {
		p.Extra = &extra
	}
	p.Attempt = int32(field(r, "attempt", count))
	p.DeadLetters = int32(field(r, "dead_letters", count))
	p.Trail = field(r, "hops", readHops)
	p.Fault = field(r, "fault", readFault)
	wish := Wish{
		Stop:     field(r, "stop", name),
		Goal:     field(r, "goal", parsed(ParseState)),
		GoalNode: field(r, "goal_node", nodeName),
		Track:    field(r, "track", strict.Value.Bool),
		Deadline: field(r, "deadline", moment),
		Follow:   field(r, "follow", parsed(ParseID)),
		Trace:    field(r, "traceparent", parsed(ParseTraceparent)),
	}
	if wish != (Wish{}) {
		p.Wish = &wish
	}
	if r.err != nil {
		return File{}, r.err
	}
	return f, nil
}

// require makes it an error if the field is not there.
func (r *reader) require(name string) {
	if r.err == nil {
		_, r.err = r.Must(name)
	}
}

// data reads the fields data and data64, of which one may be there, or, if
// needed, has to be.
func (r *reader) data(needed bool) string {
	if r.err != nil {
		return ""
	}
	coded, isCoded := r.Get("data64")
	_, isPlain := r.Get("data")
	switch {
	case isCoded && isPlain:
		r.err = coded.Errorf("there is data as well; expected one of them")
	case needed && !isCoded && !isPlain:
		_, r.err = r.Must("data")
	}
	if isCoded {
		return field(r, "data64", parsed(func(s string) (string, error) {
			raw, err := base64.StdEncoding.Strict().DecodeString(s)
			return string(raw), err
		}))
	}
	return field(r, "data", text)
}

func readShip(v strict.Value) (Ship, error) {
	s, err := v.Text()
	if err != nil {
		return Ship{}, err
	}
	at := strings.LastIndexByte(s, ':')
	if at < 0 {
		return Ship{}, v.Errorf("%s has no colon; expected NODE:ID", v)
	}
	node := s[:at]
	if err := checkPrinted("node's name", node, maxNode); err != nil {
		return Ship{}, v.Errorf("%v", err)
	}
	root, err := ParseID(s[at+1:])
	if err != nil {
		return Ship{}, v.Errorf("%v", err)
	}
	return Ship{Root: root, Node: node}, nil
}

// checkPrinted says what is wrong with a text that is to have at most that many
// bytes of printed characters.
func checkPrinted(what, s string, most int) error {
	if len(s) > most || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("the %s is not a name; expected at most %d printed characters", what, most)
	}
	return nil
}

func nodeName(v strict.Value) (string, error) {
	return parsed(func(s string) (string, error) { return s, checkPrinted("node's name", s, maxNode) })(v)
}

func seedVersion(v strict.Value) (string, error) {
	return parsed(func(s string) (string, error) { return s, checkPrinted("seed's version", s, maxVersion) })(v)
}

func readAttributes(v strict.Value) (Attributes, error) {
	fields, err := v.Fields()
	if err != nil || len(fields) == 0 {
		return nil, err
	}
	all := make(Attributes, min(len(fields), MaxAttributes+1))
	for _, f := range fields {
		value, err := f.Value.Text()
		if err != nil {
			return nil, err
		}
		if err := checkAttribute(f.Key, value); err != nil {
			return nil, f.Value.Errorf("%v", err)
		}
		all[f.Key] = value
	}
	if err := all.Check(); err != nil {
		return nil, v.Errorf("%v", err)
	}
	return all, nil
}

func readPath(v strict.Value) (Path, error) {
	list, err := v.List()
	if err != nil {
		return "", err
	}
	numbers := make([]uint64, len(list))
	for i, item := range list {
		n, err := item.Int(0, math.MaxInt64)
		if err != nil {
			return "", err
		}
		numbers[i] = uint64(n)
	}
	path := PathOf(numbers...)
	if err := path.Check(); err != nil {
		return "", v.Errorf("%v", err)
	}
	return path, nil
}

func readFamilies(v strict.Value) ([]Family, error) {
	list, err := v.List()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	families := make([]Family, len(list))
	for i, item := range list {
		r := open(item, "state", "id")
		r.require("state")
		r.require("id")
		families[i] = Family{State: field(r, "state", parsed(ParseState)), ID: field(r, "id", parsed(ParseID))}
		if r.err != nil {
			return nil, r.err
		}
	}
	if err := checkFamilies(families); err != nil {
		return nil, v.Errorf("%v", err)
	}
	return families, nil
}

func readFragment(v strict.Value) (Fragment, error) {
	number := func(v strict.Value) (uint32, error) {
		n, err := v.Int(0, math.MaxUint32)
		return uint32(n), err
	}
	r := open(v, "index", "count")
	r.require("index")
	r.require("count")
	f := Fragment{field(r, "index", number), field(r, "count", number)}
	if r.err == nil && f.Index >= max(f.Count, 1) {
		r.err = v.Errorf("index %d of %d; indexes count from 0", f.Index, f.Count)
	}
	return f, r.err
}

func readHops(v strict.Value) (*Hop, error) {
	list, err := v.List()
	if err != nil {
		return nil, err
	}
	var last *Hop
	for i, item := range list {
		r := open(item, "seed", "version", "node", "at", "state", "data", "data64")
		for _, name := range []string{"seed", "node", "at"} {
			r.require(name)
		}
		last = &Hop{
			Prev:    last,
			Seed:    field(r, "seed", name),
			Version: field(r, "version", seedVersion),
			Node:    field(r, "node", nodeName),
			At:      field(r, "at", moment),
			Depth:   i + 1,
			State:   field(r, "state", parsed(ParseState)),
			Data:    r.data(false),
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return last, nil
}

func readFault(v strict.Value) (*Fault, error) {
	r := open(v, "error", "output", "state", "attempts")
	for _, name := range []string{"error", "state"} {
		r.require(name)
	}
	return &Fault{
		Error:    field(r, "error", text),
		Output:   field(r, "output", text),
		State:    field(r, "state", parsed(ParseState)),
		Attempts: field(r, "attempts", count),
	}, r.err
}
