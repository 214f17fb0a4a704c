package strict

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Errorf is an error at the value, with its name in front.
func (v Value) Errorf(format string, args ...any) error {
	msg := fmt.Sprintf(format, args...)
	if v.Name != "" {
		msg = quote(v.Name) + ": " + msg
	}
	return &Error{v.Line, msg}
}

// wrong is the error for a value of another type than the one expected.
func (v Value) wrong(expected string) error {
	return v.Errorf("found %s; expected %s", v, expected)
}

// String is what stands there, for errors: a list, the number 5.
func (v Value) String() string {
	switch data := v.data.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(data)
	case json.Number:
		return "the number " + clip(data.String())
	case string:
		return "the text " + quote(data)
	case []Value:
		return "a list"
	default:
		return "an object"
	}
}

// IsList tells whether the value is a list.
func (v Value) IsList() bool { _, ok := v.data.([]Value); return ok }

// IsObject tells whether the value is an object.
func (v Value) IsObject() bool { _, ok := v.data.([]Field); return ok }

// List is the values of a list.
func (v Value) List() ([]Value, error) {
	list, ok := v.data.([]Value)
	if !ok {
		return nil, v.wrong("a list")
	}
	return list, nil
}

// Text is the value of a string.
func (v Value) Text() (string, error) {
	s, ok := v.data.(string)
	if !ok {
		return "", v.wrong("a text in quotes")
	}
	return s, nil
}

// Bool is true or false.
func (v Value) Bool() (bool, error) {
	b, ok := v.data.(bool)
	if !ok {
		return false, v.wrong("true or false")
	}
	return b, nil
}

// LooseBool is true or false, which may stand as texts, in any case.
func (v Value) LooseBool() (bool, error) {
	if s, ok := v.data.(string); ok {
		switch strings.ToLower(s) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return v.Bool()
}

// Int is a whole number from low to high.
func (v Value) Int(low, high int64) (int64, error) {
	num, ok := v.data.(json.Number)
	if !ok {
		return 0, v.wrong(fmt.Sprintf("a whole number from %d to %d", low, high))
	}
	n, err := strconv.ParseInt(num.String(), 10, 64)
	if err != nil || n < low || n > high {
		return 0, v.wrong(fmt.Sprintf("a whole number from %d to %d", low, high))
	}
	return n, nil
}

// LooseInt is a whole number from low to high, which may stand as a text.
func (v Value) LooseInt(low, high int64) (int64, error) {
	if s, ok := v.data.(string); ok {
		if _, err := strconv.ParseInt(s, 10, 64); err == nil {
			v.data = json.Number(s)
		}
	}
	return v.Int(low, high)
}

// Fields are the value's fields in their order, whatever their names: for an
// object whose keys are data. They must not be changed.
func (v Value) Fields() ([]Field, error) {
	fields, ok := v.data.([]Field)
	if !ok {
		return nil, v.wrong("an object in { }")
	}
	return fields, nil
}

// An Object is the fields of a JSON object, each known to its reader.
type Object struct {
	value  Value
	fields map[string]Value
	// Unknown are the fields that the reader did not name, in order; only
	// [Value.Loose] lets them through.
	Unknown []string
}

// Object is the value's fields. A field that is not among the known ones is
// an error, which names the nearest of them.
func (v Value) Object(known ...string) (Object, error) { return v.object(known, false) }

// Loose is the value's fields, as [Value.Object] gives them, but a field that
// is like none of the known ones is let through; for formats whose old readers
// did so. One that looks like a slip of the pen is an error here, too.
func (v Value) Loose(known ...string) (Object, error) { return v.object(known, true) }

func (v Value) object(known []string, loose bool) (Object, error) {
	fields, ok := v.data.([]Field)
	if !ok {
		return Object{}, v.wrong("an object in { }")
	}
	o := Object{value: v, fields: make(map[string]Value, len(fields))}
	isKnown := make(map[string]bool, len(known))
	for _, k := range known {
		isKnown[k] = true
	}
	for _, f := range fields {
		if isKnown[f.Key] {
			o.fields[f.Key] = f.Value
			continue
		}
		near, found := Nearest(f.Key, known)
		switch {
		case found:
			return o, &Error{f.Value.Line, fmt.Sprintf("%s is not a known field: did you mean %q?", quote(f.Key), near)}
		case !loose:
			return o, &Error{f.Value.Line, fmt.Sprintf("%s is not a known field; known fields are %s", quote(f.Key), strings.Join(known, ", "))}
		}
		o.Unknown = append(o.Unknown, clip(f.Key))
	}
	return o, nil
}

// Get is the field of that name, if it is there.
func (o Object) Get(name string) (Value, bool) {
	v, ok := o.fields[name]
	return v, ok
}

// Must is the field of that name, which has to be there.
func (o Object) Must(name string) (Value, error) {
	v, ok := o.fields[name]
	if !ok {
		return v, o.value.Errorf("%q is missing", name)
	}
	return v, nil
}

// Text is the text in the field of that name, "" if the field is not there.
func (o Object) Text(name string) (string, error) {
	v, ok := o.fields[name]
	if !ok {
		return "", nil
	}
	return v.Text()
}

// MustText is the text in the field of that name, which has to be there.
func (o Object) MustText(name string) (string, error) {
	v, err := o.Must(name)
	if err != nil {
		return "", err
	}
	return v.Text()
}

// quote quotes what may be long.
func quote(s string) string { return strconv.Quote(clip(s)) }

// clip shortens what an error quotes.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// An Error is what is wrong with a text, and where.
type Error struct {
	Line int // counted from 1
	Msg  string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// A Value is one JSON value and where it stands.
type Value struct {
	// Name is the way to the value, for errors: parameters[0].state. It is
	// "" for the outermost.
	Name string
	// Line is where the value begins, counted from 1.
	Line int

	data any // nil, bool, json.Number, string, []Value or []Field
}

// A Field is one member of an object, in the order of the text.
type Field struct {
	Key   string
	Value Value
}
