package inject

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/packet"
)

// classic is a .pkt file in the old shape, with more in its header.
func classic(header, tag, data string) string {
	return fmt.Sprintf(`[
  {"ship": "c466f181", "container": "98ea09ac", "box": "0", "fragment": "0", "e": "E", "state": "New"%s},
  {},
  {"stag": %q, "data": %q, "exstate": "0000", "func": ""}
]
`, header, tag, data)
}

// one is a .pkt file in our shape.
func one(data string) string {
	return fmt.Sprintf(`{"state": "String:UNGREETED", "data": %q}`, data)
}

func TestPktFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		f, j := folder(t, Config{Group: "default"}, n)
		id := packet.HashID("some id")
		put(t, f.path("a.pkt"), classic("", "default:String:UNGREETED", "Mars"))
		put(t, f.path("b.pkt"), one("Venus"))
		put(t, f.path("c.pkt"), fmt.Sprintf(`{"id": %q, "state": "Nobody:TAKES", "data64": "AP8=", "attributes": {"file": "c.fits", "sample": "S07"}}`, id))
		put(t, f.path("d.pkt"), classic(`, "aux": 4`, "String:UNGREETED", "Pluto"))
		put(t, f.path("notes.txt"), "not for us")
		notices, stop := follow(t, f)
		for _, name := range []string{"a.pkt", "b.pkt", "c.pkt", "d.pkt", "notes.txt", "notes.txt"} {
			notices <- notice{completed, name}
		}
		after(time.Minute)
		end(t, stop)
		if got := n.data(); !slices.Equal(got, []string{"Mars", "Venus", "\x00\xff", "Pluto"}) {
			t.Fatalf("took %q", got)
		}
		for i, p := range n.took {
			if p.ID.IsZero() || p.State == "" {
				t.Errorf("packet %d has the id %s and the state %q", i, p.ID, p.State)
			}
			want := packet.Attributes{"file": string(rune('a'+i)) + ".pkt"}
			if i == 2 { // it has a name of its own
				want = packet.Attributes{"file": "c.fits", "sample": "S07"}
			}
			if got := p.Attributes(); !maps.Equal(got, want) {
				t.Errorf("packet %d has the attributes %q; expected %q", i, got, want)
			}
			if c := j.Count("level=INFO", "took a file", p.ID.String(), f.path(string(rune('a'+i))+".pkt")); c != 1 {
				t.Errorf("%d lines tie packet %d to its file", c, i)
			}
		}
		if got := n.took[2]; got.ID != id || got.State != "Nobody:TAKES" {
			t.Errorf("a packet that names its id has %s, and its state is %s", got.ID, got.State)
		}
		if got := names(t, f.path(doneDir)); len(got) != 4 {
			t.Errorf("%s holds %q", doneDir, got)
		}
		if names(t, f.path(badDir)) != nil || !there(f.path("notes.txt")) {
			t.Error("a file of another name is to be left alone")
		}
		if c := j.Count("not named .pkt", "notes.txt"); c != 1 {
			t.Errorf("%d lines on a file of another name; expected one", c)
		}
		if c := j.Count("fields of a file have no effect", "d.pkt", "acknowledge"); c != 1 {
			t.Errorf("%d lines on a wish that is not granted; expected one", c)
		}
	})
}

func TestBadPktFiles(t *testing.T) {
	for _, c := range []struct{ name, text, why string }{
		{"empty", "", "line 1"},
		{"truncated", one("Mars")[:20], "cut off"},
		{"no JSON", "Hello Mars", "line 1"},
		{"another JSON", "42", "expected a packet"},
		{"code", classic(",\n  \"code\": \"cHJpbnQ=\"", "String:UNGREETED", "x"), "line 3: \"[0].code\""},
		{"no state", `{"data": "x"}`, `"state" is missing`},
		{"a wrong state", classic("", "UNGREETED", "x"), "no colon"},
		{"another group", classic("", "other:String:UNGREETED", "x"), "group other"},
		{"over 100 MiB", strings.Repeat(" ", packet.MaxFile+1), "104857601 bytes; at most 104857600"},
		{"not UTF-8", "{\"state\": \"A:B\", \"data\": \"\xff\"}", "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				f, j := folder(t, Config{Group: "default"}, n)
				put(t, f.path("x.pkt"), c.text)
				notices, stop := follow(t, f)
				notices <- notice{completed, "x.pkt"}
				put(t, f.path("y.pkt"), one("goes on"))
				notices <- notice{completed, "y.pkt"}
				after(time.Minute)
				end(t, stop)
				if got := n.data(); !slices.Equal(got, []string{"goes on"}) {
					t.Errorf("took %q; expected the good file alone", got)
				}
				why, err := os.ReadFile(f.path(".bad/x.pkt.why.txt"))
				if err != nil || !strings.Contains(string(why), c.why) || !strings.HasPrefix(string(why), f.path("x.pkt")+": ") {
					t.Errorf("the reason is %q, %v; expected the path and %q", why, err, c.why)
				}
				if moved, err := os.ReadFile(f.path(".bad/x.pkt")); err != nil || !bytes.Equal(moved, []byte(c.text)) {
					t.Errorf("%s holds something else than the file, %v", badDir, err)
				}
				if lines := j.Count("bad file", f.path("x.pkt")); lines != 1 || there(f.path("x.pkt")) {
					t.Errorf("%d lines on it; expected one, and that it is gone", lines)
				}
			})
		})
	}
}
