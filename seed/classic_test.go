package seed

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const classicHeader = `###START-CONF
##{
##"object_name": "greet",
##"object_poi": "my-greet-1234",
##"parameters": [ { "type": "String", "state": "UNGREETED" } ],
##"return": [ { "type": "String", "state": "GREETING" } ]
##}
##END-CONF
`

func TestClassic(t *testing.T) {
	m, found, err := Parse("any.py", []byte("__author__ = 'x'\n\n"+classicHeader+"\nclass greet: pass\n"))
	want := Manifest{
		Name: "greet", Kind: Python, Retries: DefaultRetries, File: "any.py", Line: 3, Classic: true, Workers: 1,
		Contract: Contract{In: states("String:UNGREETED"), Out: states("String:GREETING")},
	}
	if err != nil || !found || !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v, %v, %v\nwant %+v", m, found, err, want)
	}
	m, _, err = Parse("any.py", []byte(strings.Replace(classicHeader, `##"object_poi"`, `##"workers": 4, "object_poi"`, 1)))
	if err != nil || m.Workers != 4 {
		t.Errorf("got %+v, %v", m, err)
	}
}

// TestClassicFiles reads headers as old seeds have them.
func TestClassicFiles(t *testing.T) {
	for file, want := range map[string]Manifest{
		"all_fields.py": {Name: "GenInput", Group: "public", OnRequest: true, Spread: true,
			Contract: Contract{In: states("StringCSV:SAInput"), Out: states("StringFileTar:XSimX1X2")}},
		"alternatives.py": {Name: "sentiment",
			Contract: Contract{In: states("TweetString:ENGLISH", "TweetString:OTHER"), Out: states("TweetString:POSITIVE", "TweetString:NEGATIVE")}},
		"join.py": {Name: "tracula",
			Contract: Contract{In: states("Composite:SEGMENT", "Composite:PREPROC", "Composite:FIBER"), Join: true, Out: states("Composite:TRACK")}},
		"split.py": {Name: "dti_prep",
			Contract: Contract{In: states("Composite:RAW"), Out: states("Composite:PREPROC1", "Composite:PREPROC2")}},
		"arguments.py": {Name: "area",
			Contract: Contract{In: states("Number:SIDE"), Out: states("Number:AREA", "Text:REMARK")}},
		"parameters_join.py": {Name: "plot",
			Contract: Contract{In: states("H5:AMPL", "Text:TITLE"), Join: true}},
	} {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join("testdata", "classic", file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m, found, err := Parse(path, text)
			if err != nil || !found {
				t.Fatalf("%v, %v", found, err)
			}
			want.Workers = 1
			want.Kind, want.Retries, want.Classic, want.File, want.Line = Python, DefaultRetries, true, path, m.Line
			if !reflect.DeepEqual(m, want) {
				t.Errorf("got %+v\nwant %+v", m, want)
			}
		})
	}
}

func TestClassicRefuses(t *testing.T) {
	const (
		name = `"object_name": "x"`
		one  = `[{"type": "A", "state": "B"}]`
	)
	conf := func(lines ...string) string {
		return "import os\n###START-CONF\n##{\n##" + strings.Join(lines, ",\n##") + "\n##}\n##END-CONF\n"
	}
	for what, tt := range map[string]struct{ text, want string }{
		"no end":             {"x\n###START-CONF\n##{}\n", `c.py:2: the classic header that begins here has no "##END-CONF" line`},
		"other marks":        {"# START-CONF\n#{}\n", `c.py:1: found "# START-CONF"; the classic header begins with "###START-CONF"`},
		"nothing":            {"###START-CONF\n##END-CONF\n", "c.py:2: there is nothing here; expected a JSON value"},
		"not JSON":           {conf(name, "nonsense"), "c.py:5: this is not JSON: invalid character 'n'"},
		"one mark only":      {"###START-CONF\n##{\n#\"a\": 1\n##}\n##END-CONF\n", "c.py:3: this is not JSON: invalid character '#'"},
		"cut off":            {"###START-CONF\n##{\n##\"a\": [\n##END-CONF\n", "c.py:3: the text ends in the middle"},
		"a list":             {"###START-CONF\n##[]\n##END-CONF\n", "c.py:2: found a list; expected an object in { }"},
		"no name":            {conf(`"parameters": []`, `"return": `+one), `c.py:3: "object_name" is missing`},
		"no parameters":      {conf(name, `"return": `+one), `c.py:3: "parameters" is missing`},
		"no return":          {conf(name, `"parameters": `+one), `c.py:3: "return" is missing`},
		"misspelt":           {conf(name, `"paramters": []`), `c.py:5: "paramters" is not a known field: did you mean "parameters"?`},
		"misspelt option":    {conf(name, `"autoload": false`), `c.py:5: "autoload" is not a known field: did you mean "auto-load"?`},
		"twice":              {conf(name, name), `c.py:5: "object_name" appears twice, first on line 2`},
		"wrong name":         {conf(`"object_name": "a b"`), `c.py:4: "object_name": the seed's name "a b" has ' '`},
		"name no text":       {conf(`"object_name": 5`), `c.py:4: "object_name": found the number 5; expected a text`},
		"wrong bool":         {conf(name, `"auto-load": "maybe"`), `c.py:5: "auto-load": found the text "maybe"; expected true or false`},
		"wrong remoting":     {conf(name, `"remoting": 1`), `c.py:5: "remoting": found the number 1; expected true or false`},
		"wrong group":        {conf(name, `"group": "a:b"`), `c.py:5: "group": the group "a:b" has ':'`},
		"parameters no list": {conf(name, `"parameters": {}`, `"return": []`), `c.py:5: "parameters": found an object; expected a list`},
		"parameter no object": {conf(name, `"parameters": ["A:B"]`, `"return": []`),
			`c.py:5: "parameters[0]": found the text "A:B"; expected an object`},
		"no type":     {conf(name, `"parameters": [{"state": "B"}]`, `"return": []`), `c.py:5: "parameters[0]": "type" is missing`},
		"no state":    {conf(name, `"parameters": [{"type": "B"}]`, `"return": []`), `c.py:5: "parameters[0]": "state" is missing`},
		"state null":  {conf(name, `"parameters": [{"type": "A", "state": null}]`, `"return": []`), `c.py:5: "parameters[0].state": found null; expected a text`},
		"state wrong": {conf(name, `"parameters": []`, `"return": [{"type": "A", "state": "B C"}]`), `c.py:6: "return[0].state": "A:B C" is not a state`},
		"state empty": {conf(name, `"parameters": []`, `"return": [{"type": "A", "state": "B|"}]`), `"return[0].state": state "A:": the name is empty`},
		"mixed":       {conf(name, `"parameters": [{"type": "A", "state": "B|C&D"}]`, `"return": []`), `c.py:5: "parameters[0].state": | (any of) and & (all of) are mixed`},
		"mixed parameters": {conf(name, `"parameters": [{"type": "A", "state": "B|C"}, {"type": "A", "state": "D"}]`, `"return": []`),
			"one of several parameters has | in its state"},
		"required": {conf(name, `"parameters": [{"required": "si", "type": "A", "state": "B"}]`, `"return": []`),
			`"parameters[0].required": found the text "si"; expected true or false`},
		"neither":     {conf(name, `"parameters": []`, `"return": []`), `c.py:5: "parameters": the contract has a state on neither side`},
		"gives Error": {conf(name, `"parameters": []`, `"return": [{"type": "Error", "state": "x"}]`), "gives Error:x; packets get there by failing"},
	} {
		t.Run(what, func(t *testing.T) {
			m, _, err := Parse("c.py", []byte(tt.text))
			var at *Error
			if !errors.As(err, &at) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v, %v\nwant %s", m.Contract, err, tt.want)
			}
		})
	}
}

// TestAClassicClassBelowALine: a class of the classic shape is one object, whichever header it has.
func TestAClassicClassBelowALine(t *testing.T) {
	for text, want := range map[string]int{
		"# pmk: A:B -> C:D\nfrom pumpkin import *\nclass greet(PmkSeed.Seed):\n":                    1,
		"# pmk: A:B -> C:D\nimport pumpkin\nclass greet( Mixin, pumpkin.PmkSeed.Seed ): pass\n":     1,
		"# pmk: A:B -> C:D\nfrom pumpkin.PmkSeed import Seed\nclass greet(Seed):\n":                 1,
		"# pmk: A:B -> C:D\n# pmk-workers: 3\nfrom pumpkin import *\nclass greet(PmkSeed.Seed):\n":  3,
		"# pmk: A:B -> C:D\nclass Seed: pass\nclass Other(Seed): pass\ndef run(x):\n    return x\n": 0,
		"# pmk: A:B -> C:D\n# class greet(PmkSeed.Seed):\ndef run(x):\n    return x\n":              0,
	} {
		m, found, err := Parse("greet.py", []byte(text))
		if err != nil || !found || m.Workers != want {
			t.Errorf("%q has %d workers, %v; expected %d", text, m.Workers, err, want)
		}
	}
	if m, _, err := Parse("greet.sh", []byte("# pmk: A:B -> C:D\nclass greet(PmkSeed.Seed):\n")); err != nil || m.Workers != 0 {
		t.Errorf("what is no Python has %d workers, %v", m.Workers, err)
	}
}
