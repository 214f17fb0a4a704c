package seed

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseDefaults(t *testing.T) {
	m, found, err := Parse("seeds/greet.py", []byte("# pmk: String:UNGREETED -> String:GREETING\ndef run(x): return x\n"))
	want := Manifest{
		Name: "greet", Kind: Python, Retries: DefaultRetries, File: "seeds/greet.py", Line: 1,
		Contract: Contract{In: states("String:UNGREETED"), Out: states("String:GREETING")},
	}
	if err != nil || !found || !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v, %v, %v\nwant %+v", m, found, err, want)
	}
}

func TestParseEveryKey(t *testing.T) {
	m, _, err := Parse("x/my seed.sh", []byte(`#!/bin/sh
# -*- coding: utf-8 -*-

# A seed that has everything.
#
# pmk: A:B -> C:D
# pmk-name: everything
# pmk-about: has every key: all of them
# pmk-group: lab-3
# pmk-load: no
# pmk-spread: yes
# pmk-workers: 3
# pmk-timeout: 2h
# pmk-idle: 5m
# pmk-grace: 30s
# pmk-retries: 0
# pmk-mode: worker
# pmk-data: path
# pmk-uses: words.dat  data/ *.csv
cat
`))
	want := Manifest{
		Name: "everything", About: "has every key: all of them", Group: "lab-3", Kind: Process,
		Contract:  Contract{In: states("A:B"), Out: states("C:D")},
		OnRequest: true, Spread: true, Workers: 3, Timeout: 2 * time.Hour, Idle: 5 * time.Minute, Grace: 30 * time.Second, Retries: 0,
		Mode: Worker, DataPath: true, File: "x/my seed.sh", Line: 6, Uses: []string{"words.dat", "data", "*.csv"}, UsesLine: 19,
	}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v, %v\nwant %+v", m, err, want)
	}
	m, _, err = Parse("tick.py", []byte("# pmk: -> A:B\n# pmk-every: 10s\n"))
	if err != nil || m.Every != 10*time.Second || m.Once {
		t.Errorf("got %+v, %v", m, err)
	}
	m, _, err = Parse("long.py", []byte("# pmk: A:B -> C:D\n# pmk-retries: 2h\n"))
	if err != nil || m.Retries != Unlimited || m.RetryFor != 2*time.Hour {
		t.Errorf("got %+v, %v", m, err)
	}
	m, _, err = Parse("once.py", []byte("# pmk: -> A:B\n# pmk-once: yes\n"))
	if err != nil || !m.Once {
		t.Errorf("got %+v, %v", m, err)
	}
}

// TestLeadingComment is where a pmk: line is found, whatever the language.
func TestLeadingComment(t *testing.T) {
	for name, text := range map[string]string{
		"hash":           "# pmk: A:B -> C:D",
		"slashes":        "// pmk: A:B -> C:D",
		"dashes":         "-- pmk: A:B -> C:D",
		"semicolon":      "; pmk: A:B -> C:D",
		"percent":        "% pmk: A:B -> C:D",
		"several signs":  ";;; pmk: A:B -> C:D",
		"no space":       "#pmk:A:B->C:D",
		"indented":       "   #   pmk:   A:B -> C:D   ",
		"block":          "/* pmk: A:B -> C:D */",
		"open block":     "/*\n * pmk: A:B -> C:D\n */\nint main() {}",
		"document block": "/** words\n pmk: A:B -> C:D",
		"two blocks":     "/* words */\n/* pmk: A:B -> C:D */",
		"line ends":      "#!/bin/sh\r\n# pmk: A:B -> C:D\r\nexit\r\n",
		"mark":           "\ufeff# pmk: A:B -> C:D\n",
		"blank lines":    "\n\n# words\n\n# pmk: A:B -> C:D\n",
	} {
		t.Run(name, func(t *testing.T) {
			m, found, err := Parse("x.sh", []byte(text))
			if err != nil || !found || m.Contract.String() != "A:B -> C:D" {
				t.Fatalf("got %v, %v, %v", m.Contract, found, err)
			}
			lines := bytes.Split([]byte(text), []byte("\n"))
			if !bytes.Contains(lines[m.Line-1], []byte("pmk:")) {
				t.Errorf("line %d is not where it stands", m.Line)
			}
		})
	}
}

func TestNoDeclaration(t *testing.T) {
	for name, text := range map[string]string{
		"empty":            "",
		"code":             "print('hello')\n",
		"comment":          "# just words, pmk among them\n",
		"the word":         "# pmk\n# pmk seeds: how to write them\n",
		"arrow in words":   "# note: A -> B\n",
		"example contract": "# example: A:B -> C:D\n",
		"in a string":      "x = 1\ns = 'pmk: A:B -> C:D'\n",
		"binary":           "\x7fELF\x00\x01\x02\xff\xfe",
	} {
		if m, found, err := Parse("x.py", []byte(text)); found || err != nil {
			t.Errorf("%s: got %+v, %v, %v", name, m, found, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ file, text, want string }{
		{"a.py", "# pmk: A:B => C:D", `a.py:1: contract "A:B => C:D" has "=>"; the arrow is written ->`},
		{"a.py", "\n# pmk:", "a.py:2: the contract is empty"},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-retry: 3", `a.py:2: "pmk-retry" is not a known key: did you mean "pmk-retries"?`},
		{"a.py", "# pmk-tiemout: 3s\n# pmk: A:B -> C:D", `a.py:1: "pmk-tiemout" is not a known key: did you mean "pmk-timeout"?`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-colour: red", `a.py:2: "pmk-colour" is not a known key; known keys are pmk, pmk-name,`},
		{"a.py", "# PMK: A:B -> C:D", `a.py:1: "PMK" is not a known key: did you mean "pmk"?`},
		{"a.py", "# pkm: A:B -> C:D", `a.py:1: "pkm" is not a known key: did you mean "pmk:"?`},
		{"a.py", "# pumpkin: A:B -> C:D", `a.py:1: "pumpkin" is not a known key: did you mean "pmk:"?`},
		{"a.py", "# pmk A:B -> C:D", `a.py:1: "pmk " is not a known key: did you mean "pmk:"?`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-retries 3", "a.py:2: pmk-retries has no colon; expected pmk-retries: VALUE"},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-name", "a.py:2: pmk-name has no colon"},
		{"a.py", "# pmk: A:B -> C:D\n#\n# pmk: A:B -> C:D", "a.py:3: pmk: appears twice, first on line 1"},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-name: x\n# pmk-name: y", "a.py:3: pmk-name: appears twice, first on line 2"},
		{"a.py", "# words\n# pmk-name: x\n# pmk-about: y", "a.py:2: pmk-name: there is no pmk: line"},
		{"a.py", "import os\n\n# pmk: A:B -> C:D", "a.py:3: this pmk: line is below the first line of code, line 1"},
		{"my.seed.py", "# pmk: A:B -> C:D", `my.seed.py:1: the file name "my.seed" has '.' at byte 2`},
		{"my seed.py", "# pmk: A:B -> C:D", `name it in a line of its own: "# pmk-name: NAME"`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-name: my seed", `a.py:2: pmk-name: the seed's name "my seed" has ' ' at byte 2`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-name:", "a.py:2: pmk-name: the value is missing"},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-group: a/b", `a.py:2: pmk-group: the group "a/b" has '/'`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-load: false", `a.py:2: pmk-load: "false"; expected yes or no`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-spread: YES", `a.py:2: pmk-spread: "YES": did you mean yes?`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-workers: 0", `a.py:2: pmk-workers: "0"; expected a whole number from 1 to 1024`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-workers: two", `pmk-workers: "two"; expected a whole number`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-retries: -1", `pmk-retries: "-1"; expected a whole number from 0 to 1000`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-timeout: 30", `a.py:2: pmk-timeout: "30" has no unit; did you mean 30s?`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-timeout: soon", `pmk-timeout: "soon"; expected a time with its unit, such as`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-timeout: 0s", `pmk-timeout: "0s"; 1ms is the least`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-timeout: -5s", `pmk-timeout: "-5s"; expected a time`},
		{"a.sh", "# pmk: A:B -> C:D\n# pmk-mode: line", `a.sh:2: pmk-mode: "line": did you mean lines?`},
		{"a.sh", "# pmk: A:B -> C:D\n# pmk-mode: batch", `pmk-mode: "batch"; expected lines or worker`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-mode: lines", "pmk-mode: this is for executables, and this is a python seed"},
		{"a.sh", "# pmk: A:B -> C:D\n# pmk-data: file", `pmk-data: "file"; expected bytes or path`},
		{"a.sh", "# pmk: A:B -> C:D\n# pmk-mode: lines\n# pmk-data: path", "a.sh:3: pmk-data: a seed with pmk-mode: lines reads its data from lines"},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-every: 10s", "a.py:2: pmk-every: this is for injectors, and A:B -> C:D takes data"},
		{"a", "# pmk: -> A:B | C:D\n# pmk-mode: lines", "a:2: pmk-mode: a line of output has no state of its own, and the contract -> A:B | C:D has 2 outputs"},
		{"a.py", "# pmk: A:B ->\n# pmk-once: yes", "a.py:2: pmk-once: this is for injectors, and A:B -> takes data"},
		{"a.py", "# pmk: -> A:B\n# pmk-every: 1us", `pmk-every: "1us"; 10ms is the least`},
		{"a.py", "# pmk: -> A:B\n# pmk-every: 1s\n# pmk-once: yes", "a.py:3: pmk-once: pmk-every repeats what pmk-once: yes runs once"},
		{"a.py", "# pmk: A:B -> C:D\n" + classicHeader, "a.py:1: a pmk: line here and a classic header on line 2; a seed is declared once"},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-retries: 2 hours", `pmk-retries: "2 hours"; expected a time with its unit`},
		{"a.py", "# pmk: A:B -> C:D\n# pmk-grace: 10", `pmk-grace: "10" has no unit; did you mean 10s?`},
		{"a.py", "# pmk-retries: 2\n" + classicHeader, "a.py:1: pmk-retries: goes with a pmk: line, and this file has the classic header"},
	} {
		m, found, err := Parse(tt.file, []byte(tt.text))
		var at *Error
		if !errors.As(err, &at) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\ngot  %v, %v, %v\nwant %s", tt.text, m.Contract, found, err, tt.want)
		}
	}
}

func TestKindOf(t *testing.T) {
	for file, want := range map[string]Kind{
		"a.py": Python, "B.PY": Python, "a.wasm": Wasm, "a.sh": Process, "a": Process, "a.py.sh": Process,
	} {
		if got := KindOf(file); got != want {
			t.Errorf("KindOf(%q) = %q, want %q", file, got, want)
		}
	}
}

func TestNearestIsForStatesToo(t *testing.T) {
	if got, ok := Nearest("String:GREETNG", []string{"String:UNGREETED", "String:GREETING"}); got != "String:GREETING" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
}

// FuzzParse: no text makes Parse panic, and every error names a line of it.
func FuzzParse(f *testing.F) {
	f.Add([]byte("#!/bin/sh\n# pmk: A:B -> C:D\n# pmk-timeout: 2h\nexit\n"))
	f.Add([]byte("/* pmk: A:B ->\n pmk-name: x */"))
	f.Add([]byte(classicHeader))
	old, err := filepath.Glob(filepath.Join("testdata", "classic", "*.py"))
	if err != nil || len(old) == 0 {
		f.Fatalf("testdata/classic holds nothing to begin with: %v", err)
	}
	for _, name := range old {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		m, found, err := Parse("x.py", src)
		if err != nil {
			var at *Error
			if found || !errors.As(err, &at) || at.Line < 1 || at.Line > 1+bytes.Count(src, []byte("\n")) {
				t.Fatalf("error %#v names no line of the text, found %v", err, found)
			}
			return
		}
		if !found {
			return
		}
		if m.Name == "" || m.Kind != Python || m.Line < 1 {
			t.Fatalf("a manifest without its name, kind or line: %+v", m)
		}
		if _, err := ParseContract(m.Contract.String()); err != nil {
			t.Fatalf("contract %q is not one: %v", m.Contract, err)
		}
	})
}
