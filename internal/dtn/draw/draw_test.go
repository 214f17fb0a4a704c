package draw

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/seed"
)

var update = flag.Bool("update", false, "rewrite the drawings in testdata")

func network(t *testing.T, lines ...string) *dtn.Network {
	t.Helper()
	var hosted []dtn.Hosted
	for _, line := range lines {
		name, text, _ := strings.Cut(line, ": ")
		c, err := seed.ParseContract(text)
		if err != nil {
			t.Fatal(err)
		}
		hosted = append(hosted, dtn.Hosted{Node: "n", Manifest: seed.Manifest{Name: seed.Name(name), Contract: c}})
	}
	return dtn.New(hosted)
}

var networks = map[string][]string{
	"empty": nil,
	"chain": {"inject: -> String:UNGREETED", "greet: String:UNGREETED -> String:GREETING", "extract: String:GREETING ->"},
	"alternatives": {"tweets: -> T:RAW", "sort: T:RAW -> T:EN | T:OTHER", "haiku: T:EN -> T:HAIKU",
		"print: T:HAIKU ->", "count: T:EN | T:OTHER ->"},
	"cycle": {"start: -> A:A", "ab: A:A | C:C -> B:B", "bc: B:B -> C:C | D:D", "end: D:D ->"},
	"join":  {"left: -> A:A", "right: -> B:B", "both: A:A & B:B -> C:C", "end: C:C ->"},
	"loose": {"inject: -> String:UNGREETED", "greet: String:UNGREETED -> String:GREETNG", "extract: String:GREETING ->", "repair: Error:greet -> String:UNGREETED"},
	"round": {"ab: A:A -> B:B", "ba: B:B -> A:A"},
}

func TestDrawings(t *testing.T) {
	for name, lines := range networks {
		n := network(t, lines...)
		var out strings.Builder
		for _, format := range []func(io.Writer) error{
			func(w io.Writer) error { return Text(w, n, 100) },
			func(w io.Writer) error { return Text(w, n, 50) },
			func(w io.Writer) error { return DOT(w, n) },
			func(w io.Writer) error { return Mermaid(w, n) },
		} {
			if err := format(&out); err != nil {
				t.Fatal(err)
			}
			out.WriteString("\n")
		}
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, out.String(), want)
		}
	}
}

// Every seed is drawn once and every state is named.
func TestNothingIsLeftOut(t *testing.T) {
	for name, lines := range networks {
		n := network(t, lines...)
		var text strings.Builder
		if err := Text(&text, n, 80); err != nil {
			t.Fatal(err)
		}
		for _, s := range n.Seeds() {
			c, _ := n.Contract(s)
			label := transition{name: s, contract: c}.label()
			if got := strings.Count(text.String(), "│ "+label+" │"); got != 1 {
				t.Errorf("%s: the seed %s is drawn %d times", name, s, got)
			}
			for _, state := range slices.Concat(c.In, c.Out) {
				if !strings.Contains(text.String(), string(state)) {
					t.Errorf("%s: the state %s is not drawn", name, state)
				}
			}
		}
	}
}

func TestSVGAndJSONAreWellFormed(t *testing.T) {
	for name, lines := range networks {
		n := network(t, lines...)
		var svg, doc strings.Builder
		if err := SVG(&svg, n); err != nil {
			t.Fatal(err)
		}
		dec := xml.NewDecoder(strings.NewReader(svg.String()))
		for {
			if _, err := dec.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, s := range n.Seeds() {
			if !strings.Contains(svg.String(), ">"+string(s)) && !strings.Contains(svg.String(), "&amp; "+string(s)) {
				t.Errorf("%s: the picture does not show %s", name, s)
			}
		}
		if err := JSON(&doc, n); err != nil {
			t.Fatal(err)
		}
		var got struct{ Seeds, States, Edges []any }
		if err := json.Unmarshal([]byte(doc.String()), &got); err != nil || len(got.Seeds) != len(lines) {
			t.Errorf("%s: %d seeds in JSON, %v", name, len(got.Seeds), err)
		}
	}
}

func TestNamesAreEscaped(t *testing.T) {
	if got := escape(`<script>"&`); strings.ContainsAny(got, `<>"`) {
		t.Errorf("SVG text %s", got)
	}
	if got := quote("a\"b\\c\nd"); got != `"a\"b\\c d"` {
		t.Errorf("DOT text %s", got)
	}
}
