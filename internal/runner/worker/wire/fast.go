package wire

import (
	"math"
	"unicode/utf8"

	"github.com/recap/pumpkin/packet"
)

// parseFast reads the headers that workers write all day: known keys, plain
// numbers, strings of printable ASCII without escapes. Of anything else it
// says false, and parseSlow is the judge. It is some ten times as fast as
// encoding/json, which would take most of the time of a Python seed.
func (r *Reply) parseFast(header []byte) bool {
	r.Reset()
	s := scanner{text: header}
	if !s.eat('{') {
		return false
	}
	seen := 0
	for more := !s.eat('}'); more; {
		key, ok := s.str()
		if !ok || !s.eat(':') {
			return false
		}
		bit := 0
		switch string(key) {
		case "started":
			r.Started, ok = s.num()
			bit = 1
		case "emit":
			ok = s.list(r.fastEmit)
			bit = 2
		case "done":
			ok = s.list(r.fastDone)
			bit = 4
		default:
			return false
		}
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		if more = s.eat(','); !more && !s.eat('}') {
			return false
		}
	}
	s.space()
	return s.at == len(header)
}

func (r *Reply) fastEmit(s *scanner) bool {
	var e Emit
	var ok bool
	if e.N, ok = s.num(); !ok || !s.eat(',') {
		return false
	}
	state, ok := s.str()
	if !ok || !s.eat(',') {
		return false
	}
	// The states of neighbours are mostly the same: share their bytes.
	if n := len(r.Emit); n > 0 && r.Emit[n-1].State == string(state) {
		e.State = r.Emit[n-1].State
	} else {
		e.State = string(state)
	}
	if e.Size, ok = s.num(); !ok {
		return false
	}
	if s.eat(',') {
		if e.Attributes, ok = s.attributes(); !ok {
			return false
		}
	}
	r.Emit = append(r.Emit, e)
	return true
}

func (r *Reply) fastDone(s *scanner) bool {
	n, ok := s.num()
	r.Done = append(r.Done, Done{N: n})
	return ok // what failed has more fields, and is rare
}

// A scanner reads JSON from its start to its end.
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.text) && s.text[s.at] == ' ' {
		s.at++
	}
}

// eat takes the character c if it is next.
func (s *scanner) eat(c byte) bool {
	s.space()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

// num takes a number: digits without a leading zero.
func (s *scanner) num() (int64, bool) {
	s.space()
	begin, n := s.at, int64(0)
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		if n > math.MaxInt64/10-1 {
			return 0, false
		}
		n = 10*n + int64(s.text[s.at]-'0')
		s.at++
	}
	digits := s.at - begin
	return n, digits == 1 || digits > 1 && s.text[begin] != '0'
}

// str takes a string of printable ASCII without escapes.
func (s *scanner) str() ([]byte, bool) {
	if !s.eat('"') {
		return nil, false
	}
	for begin := s.at; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[begin : s.at-1], true
		case c < 0x20, c == '\\', c >= utf8.RuneSelf:
			return nil, false
		}
	}
	return nil, false
}

// attributes takes an object of strings.
func (s *scanner) attributes() (packet.Attributes, bool) {
	if !s.eat('{') {
		return nil, false
	}
	if s.eat('}') {
		return nil, true
	}
	all := packet.Attributes{}
	for {
		name, ok := s.str()
		if !ok || !s.eat(':') {
			return nil, false
		}
		value, ok := s.str()
		if !ok {
			return nil, false
		}
		all[string(name)] = string(value)
		if s.eat(',') {
			continue
		}
		return all, s.eat('}')
	}
}

// list takes a list of lists, the inside of each of which item takes.
func (s *scanner) list(item func(*scanner) bool) bool {
	if !s.eat('[') {
		return false
	}
	if s.eat(']') {
		return true
	}
	for {
		if !s.eat('[') || !item(s) || !s.eat(']') {
			return false
		}
		if s.eat(',') {
			continue
		}
		return s.eat(']')
	}
}
