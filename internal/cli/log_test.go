package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/api"
)

// TestNamesInTheLog come whole, whatever their bytes are.
func TestNamesInTheLog(t *testing.T) {
	var out bytes.Buffer
	newLog(&out, false).Info("taken from M\374ller", "file", "in/M\374ller 1.pkt", "error", errors.New("open M\374ller.pkt: \"no\""), "node", "Müller")
	const want = `INFO  taken from M\xfcller file="in/M\\xfcller 1.pkt" error="open M\\xfcller.pkt: \"no\"" node=Müller`
	if got := strings.TrimSpace(out.String()); got != want {
		t.Errorf("the line is\n%s, want\n%s", got, want)
	}
}

// TestWhatOthersSayOnATerminal is shown whole: it neither moves the cursor nor changes colours, and
// what goes elsewhere stays as it is.
func TestWhatOthersSayOnATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"Müller\t漢字 ☕\n":       "Müller\t漢字 ☕\n",
		"\x1b[31mred\x1b[0m\r": `\x1b[31mred\x1b[0m\r`,
		"a\x9bb\u009bc\x00":    `a\x9bb\u009bc\x00`,
		"txt.\u202egpj \x7f":   `txt.\u202egpj \x7f`,
		`"C:\x1b"`:             `"C:\x1b"`,
	} {
		if got := whole(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	for _, color := range []bool{false, true} {
		var log bytes.Buffer
		logTo(&log, false, color).Warn("loud: \x1b]0;title\a", "output", "a\x1b[2Jb", "error", errors.New("c \\x1b[1m"))
		got := log.String()
		if n := strings.Count(got, "\x1b"); strings.Contains(got, "\a") || n != 6 && color || n != 0 && !color || !strings.Contains(got, `loud: \x1b]0;title\a`) {
			t.Errorf("with colours %v the log is %q", color, got)
		}
	}
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	failed := &api.Packet{State: "Error:x", Fault: &api.Fault{State: "A:B", Error: "boom\x1b[5m", Output: "one\x1b[2J\ntwo\n"}}
	for want, out := range map[string]io.Writer{
		"boom\\x1b[5m\n    one\\x1b[2J\n    two\n": screen{other},
		"boom\x1b[5m\n    one\x1b[2J\n    two\n":   forPeople(other), // where nobody looks
	} {
		(&app{out: out}).printPacket(failed)
		var got []byte
		for some := make([]byte, 4096); !strings.Contains(string(got), "two\n"); {
			n, err := pipe.Read(some)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, some[:n]...)
		}
		if !strings.HasSuffix(string(got), want) {
			t.Errorf("it shows %q, want %q at its end", got, want)
		}
	}
}

// TestAttributesAreNotRepeated: a line for people names a thing once, in its sentence or
// as an attribute.
func TestAttributesAreNotRepeated(t *testing.T) {
	for _, c := range []struct {
		message string
		args    []any
		want    string
	}{
		{"seed a is paused", []any{"seed", "a"}, "INFO  seed a is paused"},
		{"storing what a worker gave back", []any{"seed", "a"}, "INFO  storing what a worker gave back seed=a"},
		{"seed ab failed", []any{"seed", "a"}, "INFO  seed ab failed seed=a"},
		{"seed a-b failed", []any{"seed", "a"}, "INFO  seed a-b failed seed=a"},
		{"seed s has gone from node n", []any{"seed", "s", "node", "n"}, "INFO  seed s has gone from node n"},
		{"packets are held back: no room; nothing is lost", []any{"error", errors.New("no room")}, "INFO  packets are held back: no room; nothing is lost"},
		{"1 packet waits in A:B: no seed accepts it", []any{"state", "A:B", "took", 3}, "INFO  1 packet waits in A:B: no seed accepts it took=3"},
	} {
		var out bytes.Buffer
		logTo(&out, false, false).Info(c.message, c.args...)
		if got := strings.TrimSpace(out.String()); got != c.want {
			t.Errorf("%q; expected %q", got, c.want)
		}
	}
}
