package strict

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":          {" \n\n", "line 1: there is nothing here"},
		"cut off":          {"{\n \"a\": [1,\n", "line 3: the text ends in the middle"},
		"cut off in text":  {"{\n \"a\": \"x", "line 2: the text ends in the middle"},
		"not JSON":         {"hello", "line 1: this is not JSON: invalid character 'h'"},
		"trailing comma":   {"{\n\"a\": 1,\n}", "line 3: this is not JSON: invalid character '}'"},
		"trailing garbage": {"{}\n\n x", "line 3: this is not JSON: invalid character 'x' after top-level value"},
		"twice":            {"{\"a\": 1,\n\"b\": 2,\n\"a\": 3}", `line 3: "a" appears twice, first on line 1`},
		"latin 1":          {"[\"\\ufffd\",\n\"caf\xe9\"]", "line 2: byte 0xe9 is not UTF-8"},
		"half a surrogate": {"[1,\n\"\\ud83d!\"]", `line 2: "[1]": the text holds half a surrogate pair`},
		"too deep":         {strings.Repeat("[", 65) + strings.Repeat("]", 65), "line 1: "},
		"too many":         {"[" + strings.Repeat("1,", MaxValues) + "1]", "more than 100000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestLinesAndNames(t *testing.T) {
	v, err := Parse([]byte("\n{\"list\": [1,\n\n  {\"deep\":\n true}]}"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := v.Object("list")
	if err != nil {
		t.Fatal(err)
	}
	list, err := o.fields["list"].List()
	if err != nil {
		t.Fatal(err)
	}
	if v.Line != 2 || list[0].Line != 2 || list[1].Line != 4 {
		t.Errorf("lines %d, %d, %d; want 2, 2, 4", v.Line, list[0].Line, list[1].Line)
	}
	inner, err := list[1].Object("deep")
	if err != nil {
		t.Fatal(err)
	}
	_, err = inner.Text("deep")
	if want := `line 5: "list[1].deep": found true; expected a text in quotes`; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestTypes(t *testing.T) {
	v, err := Parse([]byte(`{"n": 7, "s": "7", "b": "False", "f": 1.5, "z": null, "big": 99999999999999999999}`))
	if err != nil {
		t.Fatal(err)
	}
	o, err := v.Object("n", "s", "b", "f", "z", "big")
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string) Value { f, _ := o.Get(name); return f }
	if n, err := get("n").Int(0, 7); n != 7 || err != nil {
		t.Errorf("Int: %d, %v", n, err)
	}
	if n, err := get("s").LooseInt(0, 7); n != 7 || err != nil {
		t.Errorf("LooseInt: %d, %v", n, err)
	}
	if b, err := get("b").LooseBool(); b || err != nil {
		t.Errorf("LooseBool: %v, %v", b, err)
	}
	for name, err := range map[string]error{
		"a text is no number":       second(get("s").Int(0, 7)),
		"a number out of range":     second(get("n").Int(0, 6)),
		"a fraction":                second(get("f").Int(0, 6)),
		"beyond 64 bits":            second(get("big").Int(0, 6)),
		"a text is no bool":         second(get("b").Bool()),
		"another text is no bool":   second(get("s").LooseBool()),
		"null is no list":           second(get("z").List()),
		"a number is no object":     second(get("n").Object()),
		"what is missing":           second(o.Must("m")),
		"what is missing as a text": second(o.MustText("m")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestUnknownFields(t *testing.T) {
	v, err := Parse([]byte("{\"state\": 1,\n\"sstate\": 2,\n \"author\": 3}"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Object("state")
	if want := `line 2: "sstate" is not a known field: did you mean "state"?`; err == nil || err.Error() != want {
		t.Errorf("Object: got %v\nwant %s", err, want)
	}
	if _, err := v.Loose("state"); err == nil {
		t.Error("Loose lets a slip of the pen through")
	}
	o, err := v.Loose("state", "sstate")
	if err != nil || len(o.Unknown) != 1 || o.Unknown[0] != "author" {
		t.Errorf("Loose: unknown %q, %v", o.Unknown, err)
	}
	_, err = v.Object("state", "sstate")
	if want := `line 3: "author" is not a known field; known fields are state, sstate`; err == nil || err.Error() != want {
		t.Errorf("Object: got %v\nwant %s", err, want)
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"pmk-name", "pmk-retries", "pmk-timeout"}
	for _, tt := range []struct {
		word  string
		known []string
		want  string
	}{
		{"pmk-retry", keys, "pmk-retries"},
		{"PMK-NAME", keys, "pmk-name"},
		{"pmk-tiemout", keys, "pmk-timeout"},
		{"GREETNG", []string{"RAW", "GREETING"}, "GREETING"},
		{"String:GREETNG", []string{"String:GREETING"}, "String:GREETING"},
		{"Sting:RAW", []string{"String:RAW"}, "String:RAW"},
		{"VeryLongTypeName:RAW", []string{"VeryLongTypeName:OLD"}, ""},
		{"a", []string{"b"}, ""},
		{"", []string{"a"}, ""},
		{"x", nil, ""},
		{"cat", []string{"bat", "rat"}, "bat"},
		{strings.Repeat("a", 1000), []string{strings.Repeat("a", 1000)}, ""},
	} {
		got, ok := Nearest(tt.word, tt.known)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("Nearest(%.20q) = %q, %v; want %q", tt.word, got, ok, tt.want)
		}
	}
}

// FuzzParse holds Parse to encoding/json: it takes nothing that encoding/json
// refuses, and gives every error a line of the text.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a": [1, "x", {"b": null}], "c": true}`))
	f.Add([]byte("[1,\n2"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := Parse(text)
		if err == nil {
			if !json.Valid(text) {
				t.Fatalf("%q is not JSON and was taken", text)
			}
			return
		}
		at, ok := err.(*Error)
		if !ok || at.Line < 1 || at.Line > 1+bytes.Count(text, []byte("\n")) {
			t.Fatalf("%q: error %#v names no line of the text", text, err)
		}
	})
}
