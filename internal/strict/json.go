// Package strict reads what people and other programs wrote, and says where it
// is wrong: JSON with the line of every value, and the nearest known name of a
// misspelt one. It does no I/O and has no state.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of what [Parse] takes, so that a small file cannot fill the memory.
const (
	MaxDepth  = 64      // lists and objects within each other
	MaxValues = 100_000 // values in all
)

// Parse reads one JSON value. Beyond what JSON itself asks, it refuses an
// object that names a key twice, bytes that are not UTF-8, half a surrogate
// pair (both of which would be read as something else without a word), and
// what is beyond the limits. Its errors are of type [*Error].
func Parse(text []byte) (Value, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return Value{}, &Error{1, "there is nothing here; expected a JSON value"}
	}
	// Checking the whole first gives errors their exact place, which a
	// decoder that reads token by token does not.
	var whole unread
	if err := json.Unmarshal(text, &whole); err != nil {
		return Value{}, syntaxError(text, err)
	}
	if at, ok := notUTF8(text); ok {
		return Value{}, &Error{lineAt(text, at), fmt.Sprintf("byte %#x is not UTF-8; JSON is UTF-8 throughout", text[at])}
	}
	p := parser{text: text, dec: json.NewDecoder(bytes.NewReader(text)), line: 1}
	p.dec.UseNumber()
	return p.value("", 0)
}

// unread takes any JSON value and keeps nothing of it.
type unread struct{}

func (unread) UnmarshalJSON([]byte) error { return nil }

// syntaxError places what encoding/json says of text.
func syntaxError(text []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return &Error{1, err.Error()}
	}
	if syntax.Offset >= int64(len(text)) && strings.Contains(syntax.Error(), "unexpected end") {
		return &Error{lineAt(text, len(text)), "the text ends in the middle of a JSON value; it was cut off, or a bracket is not closed"}
	}
	// The offset is behind the byte that is wrong.
	return &Error{lineAt(text, int(syntax.Offset)-1), "this is not JSON: " + syntax.Error()}
}

// notUTF8 is the offset of the first byte that is not UTF-8, if there is one.
func notUTF8(text []byte) (int, bool) {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at, true
		}
		at += size
	}
	return 0, false
}

// lineAt is the line of the byte at offset.
func lineAt(text []byte, offset int) int {
	offset = max(0, min(offset, len(text)))
	return 1 + bytes.Count(text[:offset], []byte{'\n'})
}

// parser turns tokens of text, which is known to be valid, into values.
type parser struct {
	text   []byte
	dec    *json.Decoder
	at     int // how far line has been counted
	line   int // the line at that byte
	values int
}

// token is the next token and its text; afterwards p.line is the token's line,
// since no token of JSON holds a newline.
func (p *parser) token() (json.Token, []byte, error) {
	start := int(p.dec.InputOffset())
	tok, err := p.dec.Token()
	if err != nil {
		return nil, nil, &Error{p.line, err.Error()}
	}
	end := int(p.dec.InputOffset())
	p.line += bytes.Count(p.text[p.at:end], []byte{'\n'})
	p.at = end
	return tok, p.text[start:end], nil
}

func (p *parser) value(name string, depth int) (Value, error) {
	tok, raw, err := p.token()
	if err != nil {
		return Value{}, err
	}
	v := Value{Name: name, Line: p.line}
	if p.values++; p.values > MaxValues {
		return v, v.Errorf("more than %d values; nothing that belongs here has so many", MaxValues)
	}
	switch tok := tok.(type) {
	case json.Delim:
		if depth == MaxDepth {
			return v, v.Errorf("lists and objects %d deep; at most %d are allowed", depth+1, MaxDepth)
		}
		if tok == '{' {
			v.data, err = p.object(name, depth+1)
		} else {
			v.data, err = p.list(name, depth+1)
		}
		return v, err
	case string:
		v.data = tok
		return v, v.checkText(tok, raw)
	default:
		v.data = tok
		return v, nil
	}
}

// checkText refuses a string in which half a surrogate pair was replaced.
func (v Value) checkText(s string, raw []byte) error {
	const replaced = string(utf8.RuneError)
	if !strings.Contains(s, replaced) || bytes.Contains(raw, []byte(replaced)) ||
		bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`)) {
		return nil
	}
	return v.Errorf(`the text holds half a surrogate pair (\ud800 to \udfff alone), which is no character`)
}

func (p *parser) list(name string, depth int) ([]Value, error) {
	list := []Value{}
	for p.dec.More() {
		v, err := p.value(fmt.Sprintf("%s[%d]", name, len(list)), depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, _, err := p.token() // the closing bracket
	return list, err
}

func (p *parser) object(name string, depth int) ([]Field, error) {
	var fields []Field
	lines := map[string]int{}
	for p.dec.More() {
		tok, _, err := p.token()
		if err != nil {
			return nil, err
		}
		key := tok.(string) // a valid object's keys are strings
		if first, twice := lines[key]; twice {
			return nil, &Error{p.line, fmt.Sprintf("%s appears twice, first on line %d", quote(key), first)}
		}
		lines[key] = p.line
		inner := key
		if name != "" {
			inner = name + "." + key
		}
		v, err := p.value(inner, depth)
		if err != nil {
			return nil, err
		}
		fields = append(fields, Field{key, v})
	}
	_, _, err := p.token() // the closing brace
	return fields, err
}
