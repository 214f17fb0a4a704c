package draw

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// hostile is a network whose names mean something to every form. Headers do
// not let them through; a peer's manifest or a program's own seed might.
func hostile() (n *dtn.Network, names []string) {
	names = []string{
		`</text><script>alert(1)</script>`,
		`x" onload="alert(1)`,
		`a\"]; b -> c; "`,
		`end"]:::x --> y["`,
		"line\nbreak\ttab\x1b[31mred\x00nul",
		`&lt;&#60;#60;%%{init}%%`,
		"wide 漢字 \u202eevil",
		"bad\xffutf8",
	}
	var hosted []dtn.Hosted
	for i, name := range names {
		c := seed.Contract{In: []packet.State{packet.State("T:" + name)}, Out: []packet.State{"T:END", packet.State("O:" + name)}}
		c.Join = i%2 == 0
		hosted = append(hosted, dtn.Hosted{Node: name, Manifest: seed.Manifest{
			Name: seed.Name(name), About: name, File: name, Contract: c,
		}})
	}
	return dtn.New(hosted), names
}

func draw(t *testing.T, form func(io.Writer, *dtn.Network) error) string {
	t.Helper()
	n, _ := hostile()
	var out bytes.Buffer
	if err := form(&out, n); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestSVGEscapes(t *testing.T) {
	out := draw(t, SVG)
	allowed := strings.Fields("svg title desc style defs marker path g rect text circle")
	attributes := strings.Fields("xmlns class role aria-labelledby viewBox width height id refX refY markerWidth " +
		"markerHeight markerUnits orient d x y rx cx cy r marker-end")
	var texts []string
	for d := xml.NewDecoder(strings.NewReader(out)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if !slices.Contains(allowed, token.Name.Local) {
				t.Errorf("element %s", token.Name.Local)
			}
			for _, a := range token.Attr {
				if !slices.Contains(attributes, a.Name.Local) {
					t.Errorf("attribute %s", a.Name.Local)
				}
			}
		case xml.CharData:
			texts = append(texts, string(token))
		}
	}
	for _, want := range []string{`</text><script>alert(1)</script>`, `x" onload="alert(1)`} {
		if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("no text %q", want)
		}
	}
}

func TestDOTEscapes(t *testing.T) {
	text := `"(?:[^"\\]|\\.)*"`
	line := regexp.MustCompile(`^\t(?:v\d+ \[shape=box,style="[a-z,]+",label=` + text + `,tooltip=` + text + `\]` +
		`|v\d+ -> v\d+(?: \[style=dashed\])?|rankdir=LR|(?:node|edge) \[fontname="monospace"\]);$`)
	lines := strings.Split(strings.TrimSuffix(draw(t, DOT), "\n"), "\n")
	for _, l := range lines[1 : len(lines)-1] {
		if !line.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
}

func TestMermaidEscapes(t *testing.T) {
	text := `"(?:[A-Za-z0-9 :_×?!-]|#\d+;)*"`
	line := regexp.MustCompile(`^    (?:v\d+\[` + text + `\]|v\d+\(\[` + text + `\]\)|v\d+ -(?:-|\.-)> v\d+` +
		`|classDef marked stroke-dasharray: 4 3|class v\d+(?:,v\d+)* marked)$`)
	lines := strings.Split(strings.TrimSuffix(draw(t, Mermaid), "\n"), "\n")
	for _, l := range lines[1:] {
		if !line.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
}

func TestTextEscapes(t *testing.T) {
	for _, width := range []int{30, 80, 200} {
		for _, ascii := range []bool{false, true} {
			out := draw(t, func(w io.Writer, n *dtn.Network) error { return Text(w, n, width, ascii) })
			for _, r := range out {
				if r < ' ' && r != '\n' || r == 0x7f || r == '\u202e' || r == '漢' || ascii && r > '~' {
					t.Errorf("width %d, ascii %t: %q", width, ascii, r)
				}
			}
			if !utf8.ValidString(out) {
				t.Errorf("width %d, ascii %t: not UTF-8", width, ascii)
			}
		}
	}
}

func TestJSONHoldsNamesAsTheyAre(t *testing.T) {
	var d Document
	if err := json.Unmarshal([]byte(draw(t, JSON)), &d); err != nil {
		t.Fatal(err)
	}
	_, names := hostile()
	for _, name := range names {
		valid := strings.ToValidUTF8(name, "\uFFFD")
		if !slices.ContainsFunc(d.Seeds, func(s Seed) bool { return string(s.Name) == valid }) {
			t.Errorf("no seed %q", valid)
		}
	}
	if len(d.Edges) != 3*len(names) {
		t.Errorf("%d edges, want %d", len(d.Edges), 3*len(names))
	}
}

// TestWriteErrors: a form that cannot write says so.
func TestWriteErrors(t *testing.T) {
	broken := errors.New("broken pipe")
	for name, form := range forms() {
		n, _ := hostile()
		if err := form(failing{broken}, n); !errors.Is(err, broken) {
			t.Errorf("%s: error %v, want %v", name, err, broken)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
