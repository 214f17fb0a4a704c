package packet

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/recap/pumpkin/internal/strict"
)

const classicMars = `[
  {"ship": "c466f181", "container": "98ea09ac", "box": "0", "fragment": "0", "e": "E", "state": "New",
   "ttl": "600", "t_state": "None", "t_otype": "None", "c_tag": "None", "stop_func": "None",
   "last_func": "None", "last_contact": "None", "aux": 32},
  {},
  {"stag": "default:String:UNGREETED", "data": "Mars", "exstate": "0000", "func": ""}
]`

func TestParseFile(t *testing.T) {
	id := HashID("a packet")
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	f, err := ParseFile([]byte(`{
	  "id": "` + id.String() + `", "ship": "lab-1:` + id.String() + `",
	  "container": "` + id.String() + `", "fragment": {"index": 1, "count": 3},
	  "state": "lab:String:RAW", "data64": "AP8=", "attempt": 2, "dead_letters": 1,
	  "ship_name": "night run", "attributes": {"sample": "S07", "lane": ""}, "path": [0, 300, 9223372036854775807],
	  "families": [{"state": "A:A", "id": "` + id.String() + `"}], "round": 3, "failing": "2023-11-14T22:13:20Z",
	  "hops": [{"seed": "a", "version": "2f0e11", "node": "n", "at": "2026-01-02T03:04:05.000000678Z"},
	           {"seed": "b", "node": "n", "at": "2026-01-02T03:04:05.000000678Z", "state": "A:B", "data": "old"}],
	  "fault": {"error": "ValueError: no", "output": "Traceback", "state": "A:B", "attempts": 6},
	  "stop": "greet", "goal": "A:C", "goal_node": "lab-2", "track": true, "deadline": "2026-01-02T03:04:05.000000678Z"
	}`))
	if err != nil {
		t.Fatal(err)
	}
	first := &Hop{Seed: "a", Version: "2f0e11", Node: "n", At: at, Depth: 1}
	want := File{Group: "lab", Packet: Packet{
		ID: id, Ship: Ship{Root: id, Node: "lab-1"}, State: "String:RAW", Data: "\x00\xff", Attempt: 2, DeadLetters: 1,
		Extra: &Extra{Container: id, Fragment: Fragment{1, 3}, ShipName: "night run", Attributes: Attributes{"sample": "S07", "lane": ""},
			Path: PathOf(0, 300, 1<<63-1), Families: []Family{{"A:A", id}}, Round: 3, Failing: 1_700_000_000},
		Trail: &Hop{Prev: first, Seed: "b", Node: "n", At: at, Depth: 2, State: "A:B", Data: "old"},
		Fault: &Fault{"ValueError: no", "Traceback", "A:B", 6},
		Wish:  &Wish{Stop: "greet", Goal: "A:C", GoalNode: "lab-2", Track: true, Deadline: at},
	}}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
	least, err := ParseFile([]byte(`{"state": "A:B", "data": ""}`))
	if err != nil || !reflect.DeepEqual(least, File{Packet: Packet{State: "A:B"}}) {
		t.Errorf("the least packet: %+v, %v", least, err)
	}
}

func TestParseClassicFile(t *testing.T) {
	f, err := ParseFile([]byte(classicMars))
	if err != nil {
		t.Fatal(err)
	}
	want := File{Classic: true, Group: "default", Packet: Packet{
		Ship: Ship{Root: HashID("ship", "c466f181")}, Extra: &Extra{Container: HashID("container", "c466f181", "98ea09ac")},
		State: "String:UNGREETED", Data: "Mars",
	}, Ignored: []string{"aux 32 (force): no packet is turned away for having been there before"}}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
}

// TestParseClassicVariants is what old files have besides.
func TestParseClassicVariants(t *testing.T) {
	f, err := ParseFile([]byte(`[
	  {"ship": "tracer", "container": "CONT_ID", "e": 0, "last_timestamp": 0, "fragment": 2,
	   "stop_func": "AMC:tracula", "aux": "63", "mood": "good"},
	  {"stag": "AMC:Composite:EARLIER", "data": "passed over"},
	  {"stag": "Composite:ALL_RAW", "data": "a.zip|,|b.zip", "format": "A,B", "ep": "local", "func": "AMC:injector"}
	]`))
	if err != nil {
		t.Fatal(err)
	}
	if f.Group != "" || f.Packet.State != "Composite:ALL_RAW" || f.Packet.Data != "a.zip|,|b.zip" ||
		f.Packet.Extra.Fragment != (Fragment{}) || *f.Packet.Wish != (Wish{Stop: "tracula", Track: true}) {
		t.Errorf("got %+v, wish %+v", f, f.Packet.Wish)
	}
	all := strings.Join(f.Ignored, "\n")
	for _, want := range []string{"aux 1 ", "aux 4 ", "aux 8 ", "aux 16 ", "aux 32 ", "fragment 2:", `func "AMC:injector"`, `field "mood"`} {
		if !strings.Contains(all, want) {
			t.Errorf("Ignored does not name %s:\n%s", want, all)
		}
	}
	if strings.Contains(all, "aux 2 ") {
		t.Errorf("Ignored names what is honoured:\n%s", all)
	}
	// The header may stand before the last element with no automaton between.
	if _, err := ParseFile([]byte(`[{"ship": "x"}, {"stag": "A:B", "data": ""}]`)); err != nil {
		t.Error(err)
	}
}

func TestParseFileRefuses(t *testing.T) {
	const aFamily = `{"state": "A:A", "id": "00000000000000000000000000000000"}`
	manyAttributes := `"a": ""`
	for i := range MaxAttributes {
		manyAttributes += fmt.Sprintf(`, "a%d": ""`, i)
	}
	ours := func(fields string) string { return `{"state": "A:B", "data": "x",` + "\n" + fields + "}" }
	header := func(fields string) string {
		return "[{\"ship\": \"x\",\n" + fields + "},\n{}, {\"stag\": \"A:B\", \"data\": \"x\"}]"
	}
	last := func(fields string) string { return "[{\"ship\": \"x\"}, {},\n{" + fields + "}]" }
	for name, tt := range map[string]struct{ text, want string }{
		"empty":            {"", "line 1: there is nothing here"},
		"truncated":        {classicMars[:300], "line 6: the text ends in the middle"},
		"not JSON":         {"Mars\n", "line 1: this is not JSON: invalid character 'M'"},
		"trailing garbage": {ours(`"attempt": 1`) + "\n}", "line 3: this is not JSON: invalid character '}' after top-level value"},
		"not UTF-8":        {"{\"state\": \"A:B\",\n\"data\": \"\xff\"}", "line 2: byte 0xff is not UTF-8"},
		"a text":           {`"Mars"`, `line 1: found the text "Mars"; expected a packet`},

		"unknown field":     {ours(`"trak": true`), `line 2: "trak" is not a known field: did you mean "track"?`},
		"strange field":     {ours(`"colour": 1`), `line 2: "colour" is not a known field; known fields are id, ship`},
		"twice":             {ours(`"data": "y"`), `line 2: "data" appears twice, first on line 1`},
		"no state":          {`{"data": "x"}`, `line 1: "state" is missing`},
		"no data":           {`{"state": "A:B"}`, `line 1: "data" is missing`},
		"two data":          {ours(`"data64": ""`), `line 2: "data64": there is data as well`},
		"not base64":        {"{\"state\": \"A:B\",\n\"data64\": \"***\"}", `line 2: "data64": illegal base64`},
		"state wrong":       {`{"state": "RAW", "data": ""}`, `line 1: "state": state "RAW" has no colon`},
		"data no text":      {`{"state": "A:B", "data": 5}`, `"data": found the number 5; expected a text`},
		"id wrong":          {ours(`"id": "12"`), `line 2: "id": id "12" has 2 characters`},
		"ship wrong":        {ours(`"ship": "12"`), `line 2: "ship": the text "12" has no colon; expected NODE:ID`},
		"ship's node":       {ours(`"ship": "a\nb:00000000000000000000000000000000"`), `line 2: "ship": the node's name is not a name`},
		"fragment":          {ours(`"fragment": {"index": 3, "count": 3}`), `line 2: "fragment": index 3 of 3`},
		"half a fragment":   {ours(`"fragment": {"index": 0}`), `line 2: "fragment": "count" is missing`},
		"attribute's name":  {ours(`"attributes": {"Sample": "S07"}`), `line 2: "attributes.Sample": the attribute's name "Sample": expected a lower-case letter`},
		"attribute no text": {ours(`"attributes": {"lane": 7}`), `line 2: "attributes.lane": found the number 7; expected a text`},
		"attribute's byte":  {ours(`"attributes": {"lane": "\u0000"}`), `line 2: "attributes.lane": the attribute lane has a byte 0`},
		"attribute's size":  {ours(`"attributes": {"lane": "` + strings.Repeat("x", MaxAttributeBytes) + `"}`), `line 2: "attributes": the attributes have 16388 bytes`},
		"attributes' count": {ours(`"attributes": {` + manyAttributes + `}`), `line 2: "attributes": 65 attributes; at most 64 are allowed`},
		"attributes":        {ours(`"attributes": []`), `line 2: "attributes": found a list; expected an object`},
		"ship's name":       {ours(`"ship_name": "a\tb"`), `line 2: "ship_name": the ship's name "a\tb" has characters that are not printed`},
		"path":              {ours(`"path": [0, -1]`), `line 2: "path[1]": found the number -1; expected a whole number from 0`},
		"path's size":       {ours(`"path": [` + strings.Repeat("1,", MaxPath) + `1]`), `line 2: "path": the birth path has 4097 bytes`},
		"family":            {ours(`"families": [{"state": "A:A"}]`), `line 2: "families[0]": "id" is missing`},
		"families":          {ours(`"families": [` + strings.Repeat(aFamily+",", 2) + aFamily + `]`), `line 2: "families": two families of the state A:A`},
		"families' count":   {ours(`"families": [` + strings.Repeat(aFamily+",", 16) + aFamily + `]`), `line 2: "families": 17 families; at most 16 are allowed`},
		"round":             {ours(`"round": -1`), `line 2: "round": found the number -1; expected a whole number from 0`},
		"goal's node":       {ours(`"goal_node": "a\nb"`), `line 2: "goal_node": the node's name is not a name`},
		"hop's node":        {ours(`"hops": [{"seed": "a", "at": "2026-01-02T03:04:05Z", "node": "` + strings.Repeat("n", 256) + `"}]`), `line 2: "hops[0].node": the node's name is not a name`},
		"hop's version":     {ours(`"hops": [{"seed": "a", "node": "n", "at": "2026-01-02T03:04:05Z", "version": "` + strings.Repeat("v", 65) + `"}]`), `line 2: "hops[0].version": the seed's version is not a name`},
		"attempts":          {ours(`"attempt": 2147483647`), `line 2: "attempt": found the number 2147483647; expected a whole number from 0 to 1073741823`},
		"rounds":            {ours(`"round": 2147483647`), `line 2: "round": found the number 2147483647; expected a whole number from 0 to 1073741823`},
		"attempt":           {ours(`"attempt": -1`), `line 2: "attempt": found the number -1; expected a whole number from 0`},
		"hop":               {ours(`"hops": [{"seed": "a", "node": "n"}]`), `line 2: "hops[0]": "at" is missing`},
		"hop's time":        {ours(`"hops": [{"seed": "a", "node": "n", "at": "now"}]`), `line 2: "hops[0].at": parsing time "now"`},
		"hop's field":       {ours(`"hops": [{"seeds": "a"}]`), `line 2: "seeds" is not a known field: did you mean "seed"?`},
		"fault":             {ours(`"fault": {"error": "x"}`), `line 2: "fault": "state" is missing`},
		"stop":              {ours(`"stop": "a b"`), `line 2: "stop": the seed's name "a b" has ' '`},
		"goal":              {ours(`"goal": "B"`), `line 2: "goal": state "B" has no colon`},
		"track":             {ours(`"track": "yes"`), `line 2: "track": found the text "yes"; expected true or false`},
		"deadline":          {ours(`"deadline": "tomorrow"`), `line 2: "deadline": parsing time`},

		"code":              {header(`"code": "cHJpbnQgMQ=="`), `line 2: "[0].code": the packet carries a program that its receiver is to run; until a sandbox`},
		"short":             {`[{}]`, "line 1: a list of 1; a classic packet is [header, automaton, ..., last]"},
		"header no object":  {`[1, {}, {}]`, `line 1: "[0]": found the number 1; expected an object`},
		"no ship":           {`[{}, {}, {}]`, `line 1: "[0]": "ship" is missing`},
		"misspelt":          {header(`"stop_fun": "x"`), `line 2: "stop_fun" is not a known field: did you mean "stop_func"?`},
		"acknowledgement":   {header(`"state": "PACK_OK"`), `line 2: "[0].state": PACK_OK is an acknowledgement`},
		"gather":            {header(`"state": "MERGE"`), "gathers are not run yet"},
		"aux unknown":       {header(`"aux": 64`), `line 2: "[0].aux": 64 has bits that no Pumpkin knows`},
		"aux wrong":         {header(`"aux": "many"`), `line 2: "[0].aux": found the text "many"; expected a whole number`},
		"fragment wrong":    {header(`"fragment": -1`), `line 2: "[0].fragment": found the number -1`},
		"stop_func wrong":   {header(`"stop_func": "a b"`), `line 2: "[0].stop_func": the seed's name "a b" has ' '`},
		"no stag":           {last(`"data": "x"`), `line 2: "[2]": "stag" is missing`},
		"stag wrong":        {last(`"stag": "a:b:c:d", "data": "x"`), `line 2: "[2].stag": state "b:c:d"`},
		"no classic data":   {last(`"stag": "A:B"`), `line 2: "[2]": "data" is missing`},
		"classic data list": {last(`"stag": "A:B", "data": []`), `line 2: "[2].data": found a list; expected a text`},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := ParseFile([]byte(tt.text))
			var at *strict.Error
			if !errors.As(err, &at) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %+v, %v\nwant %s", f, err, tt.want)
			}
			if !reflect.DeepEqual(f, File{}) {
				t.Error("a packet beside the error")
			}
		})
	}
}

// TestIgnoredIsBounded: a file of many strange fields makes no endless log.
func TestIgnoredIsBounded(t *testing.T) {
	var fields strings.Builder
	for i := range 1000 {
		fields.WriteString(`, "` + strings.Repeat("z", 10) + ID{Lo: uint64(i)}.String() + `": 1`)
	}
	f, err := ParseFile([]byte(`[{"ship": "x"` + fields.String() + `}, {"stag": "A:B", "data": ""}]`))
	if err != nil || len(f.Ignored) != maxIgnored {
		t.Errorf("%d phrases, %v", len(f.Ignored), err)
	}
}

// TestFileRoundTrip: what MarshalJSON writes, ParseFile reads as the same.
func TestFileRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawFile(t)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s:\ngot  %+v\nwant %+v", text, got, want)
		}
	})
}

func drawFile(t *rapid.T) File {
	word := rapid.StringMatching(`[A-Za-z0-9_-]{1,10}`)
	state := func(label string) State { return State(word.Draw(t, label) + ":" + word.Draw(t, label)) }
	id := func(label string) ID { return HashID(word.Draw(t, label)) }
	data := func(label string) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, label)) }
	at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
	coin := rapid.Bool()

	f := File{Packet: Packet{State: state("state"), Data: data("data")}}
	p := &f.Packet
	if coin.Draw(t, "named") {
		p.ID, f.Group = id("id"), word.Draw(t, "group")
		p.Ship = Ship{Root: id("ship"), Node: word.Draw(t, "node")}
	}
	if x := anyExtra.Draw(t, "extra"); !x.IsZero() {
		p.Extra = x
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "hops") {
		p.Trail = &Hop{Prev: p.Trail, Seed: word.Draw(t, "seed"), Version: word.Draw(t, "version"), Node: word.Draw(t, "at"), At: at, Depth: i + 1}
		if coin.Draw(t, "tracked") {
			p.Trail.State, p.Trail.Data = state("hop"), data("hop data")
		}
	}
	if coin.Draw(t, "wishes") {
		p.Wish = &Wish{Stop: word.Draw(t, "stop"), Goal: state("goal"), GoalNode: word.Draw(t, "goal node"), Track: coin.Draw(t, "track"), Deadline: at, Follow: p.ID, Trace: TraceContext{Trace: [16]byte{1}, Span: [8]byte{2}, Flags: 1}}
	}
	if coin.Draw(t, "failed") {
		p.Attempt, p.DeadLetters = rapid.Int32Range(0, 9).Draw(t, "attempt"), rapid.Int32Range(0, 9).Draw(t, "dead letters")
		p.Fault = &Fault{Error: rapid.String().Draw(t, "error"), Output: rapid.String().Draw(t, "output"), State: state("was"), Attempts: 3}
	}
	return f
}

// TestMarshalBadText: a cut-off tail of output must not spoil the file.
func TestMarshalBadText(t *testing.T) {
	text, err := json.Marshal(File{Packet: Packet{State: "Error:x", Fault: &Fault{Error: "caf\xc3", State: "A:B"}}})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := ParseFile(text); err != nil || f.Packet.Fault.Error != "caf\ufffd" {
		t.Errorf("%s: %+v, %v", text, f.Packet.Fault, err)
	}
}

// FuzzParseFile: what is taken can be written and is then the same packet.
func FuzzParseFile(f *testing.F) {
	f.Add([]byte(classicMars))
	f.Add([]byte(`{"state": "g:A:B", "data64": "AP8=", "hops": [{"seed": "a", "node": "n", "at": "2026-01-02T03:04:05Z"}], "track": true}`))
	f.Add([]byte(`{"state": "A:B", "data": "", "ship_name": "s", "attributes": {"a": "b"}, "path": [1, 200], "families": [{"state": "A:A", "id": "00000000000000000000000000000000"}], "round": 1}`))
	f.Add([]byte(`[{"ship": "x", "code": ""}, {"stag": "A:B", "data": ""}]`))
	f.Add([]byte(`{"state": "A:B", "data": "\ud800"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ParseFile(text)
		if err != nil {
			var at *strict.Error
			if !errors.As(err, &at) {
				t.Fatalf("error %#v names no line", err)
			}
			return
		}
		if _, err := ParseState(string(got.Packet.State)); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseFile(out)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		back, err := json.Marshal(again)
		if err != nil || string(back) != string(out) {
			t.Fatalf("%s came back as %s, %v", out, back, err)
		}
	})
}
