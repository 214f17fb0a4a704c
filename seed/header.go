package seed

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// KindOf is the kind of seed that a file of this name holds.
func KindOf(file string) Kind {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".py":
		return Python
	case ".wasm":
		return Wasm
	default:
		return Process
	}
}

// Parse reads what a seed file says of itself; src is the file's text or its
// beginning. found is false for a file that declares no seed, which is no
// error. Errors are of type [*Error] and name file as it is given.
//
// A declaration is either a line "pmk: CONTRACT" in the file's leading
// comment, perhaps with further pmk- lines there; or the classic header
// anywhere in the file (see [Manifest].Classic). The leading comment is the
// lines that begin with one of # // -- ; % or stand within /* */, up to the
// first line of code; a #! line and blank lines do not end it.
//
// A Python file with a class of the classic shape has one worker, unless it says another number.
//
// The manifest has the defaults filled in, but no Version.
func Parse(file string, src []byte) (m Manifest, found bool, err error) {
	m = Manifest{Kind: KindOf(file), File: file}
	lines := splitLines(src)
	comment, code := leading(lines)
	conf, classic, err := findClassic(file, lines)
	if err != nil {
		return Manifest{}, false, err
	}
	keys, err := findKeys(file, comment)
	if err != nil {
		return Manifest{}, false, err
	}
	switch decl, ok := keys[ContractKey]; {
	case ok && classic:
		err = &Error{file, decl.line, fmt.Sprintf("a pmk: line here and a classic header on line %d; a seed is declared once", conf.start)}
	case ok:
		err = m.fromKeys(file, keys)
		if _, said := keys[workersKey]; !said && m.Kind == Python && hasClassicClass(lines) {
			m.Workers = classicWorkers
		}
	case len(keys) > 0:
		err = orphan(file, keys, classic)
	case classic:
		err = m.fromClassic(file, conf)
	default:
		return Manifest{}, false, nearMiss(file, comment, lines, code)
	}
	if err != nil {
		return Manifest{}, false, err
	}
	return m, true, nil
}

// A setting is the value of one pmk key and where it stands.
type setting struct {
	line  int
	value string
}

// findKeys is the pmk lines of a comment, by their keys.
func findKeys(file string, comment []line) (map[string]setting, error) {
	keys := map[string]setting{}
	for _, l := range comment {
		key, value, ok, err := cutKey(l.text)
		if err != nil {
			return nil, &Error{file, l.no, err.Error()}
		}
		if !ok {
			continue
		}
		if first, twice := keys[key]; twice {
			return nil, &Error{file, l.no, fmt.Sprintf("%s: appears twice, first on line %d", key, first.line)}
		}
		keys[key] = setting{l.no, value}
	}
	return keys, nil
}

// cutKey cuts a comment line into a pmk key and its value; ok is false for a
// line that is neither nor looks like one.
func cutKey(text string) (key, value string, ok bool, err error) {
	word, rest, colon := strings.Cut(text, ":")
	word = strings.TrimSpace(word)
	if strings.EqualFold(word, ContractKey) || strings.HasPrefix(word, ContractKey+"-") {
		first, _, several := strings.Cut(word, " ")
		known := first == ContractKey || findKey(first) != nil
		switch {
		case word == ContractKey && colon, colon && findKey(word) != nil:
			return word, strings.TrimSpace(rest), true, nil
		case word == ContractKey: // prose: the one word pmk
			return "", "", false, nil
		case known && (several || !colon):
			return "", "", false, fmt.Errorf("%s has no colon; expected %s: VALUE", first, first)
		}
		if near, found := Nearest(first, keyNames()); found {
			return "", "", false, fmt.Errorf("%q is not a known key: did you mean %q?", first, near)
		}
		return "", "", false, fmt.Errorf("%q is not a known key; known keys are %s", first, strings.Join(keyNames(), ", "))
	}
	return "", "", false, nil
}

// orphan is the error for pmk- lines that no pmk: line goes with.
func orphan(file string, keys map[string]setting, classic bool) error {
	var first string
	for key, s := range keys {
		if first == "" || s.line < keys[first].line {
			first = key
		}
	}
	msg := fmt.Sprintf("%s: there is no pmk: line, which declares the seed: expected %q", first, exampleLine)
	if classic {
		msg = first + ": goes with a pmk: line, and this file has the classic header; put a pmk: line in its place"
	}
	return &Error{file, keys[first].line, msg}
}

// exampleLine is what errors show to those whose file declares nothing.
const exampleLine = "# pmk: String:RAW -> String:CLEAN"

// nearMiss is the error for a file without a declaration that seems to want
// one, else nil: a misspelt key in front of a whole contract, or a pmk: line
// below the first code.
func nearMiss(file string, comment, lines []line, code int) error {
	for _, l := range comment {
		key, value, _ := strings.Cut(l.text, ":")
		if rest, ok := strings.CutPrefix(l.text, ContractKey+" "); ok {
			key, value = ContractKey+" ", rest // the colon is missing
		}
		if looksLikeKey(key) {
			if _, err := ParseContract(value); err == nil {
				return &Error{file, l.no, fmt.Sprintf("%q is not a known key: did you mean %q?", key, ContractKey+":")}
			}
		}
	}
	if code == 0 {
		return nil
	}
	for _, l := range lines[code-1:] {
		text, ok := uncomment(strings.TrimSpace(l.text))
		if ok && strings.HasPrefix(text, ContractKey+":") {
			return &Error{file, l.no, fmt.Sprintf("this pmk: line is below the first line of code, line %d; move it above", code)}
		}
	}
	return nil
}

// looksLikeKey tells whether a word in front of a contract was meant to be the
// key pmk: its letters in another order, or the whole word.
func looksLikeKey(word string) bool {
	word = strings.ToLower(strings.TrimSpace(word))
	return word != "" && strings.Trim(word, ContractKey) == "" || word == "pumpkin"
}

// fromKeys fills in what the pmk lines say.
func (m *Manifest) fromKeys(file string, keys map[string]setting) error {
	decl := keys[ContractKey]
	contract, err := ParseContract(decl.value)
	if err != nil {
		return &Error{file, decl.line, err.Error()}
	}
	m.Contract, m.Line, m.Retries = contract, decl.line, contract.DefaultRetries()
	for _, k := range knownKeys() {
		s, ok := keys[k.name]
		if !ok {
			continue
		}
		if err := k.apply(m, s.value); err != nil {
			return &Error{file, s.line, fmt.Sprintf("%s: %v", k.name, err)}
		}
	}
	m.UsesLine = keys[usesKey].line
	if m.Name == "" {
		base := filepath.Base(file)
		base = strings.TrimSuffix(base, filepath.Ext(base))
		if err := packet.CheckName("file name", base); err != nil {
			return &Error{file, decl.line, fmt.Sprintf("%v, so it cannot be the seed's name; name it in a line of its own: %q", err, "# pmk-name: NAME")}
		}
		m.Name = Name(base)
	}
	return nil
}
