package cli

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// whole is text as people are shown it: what is not UTF-8, and what would move the cursor, change
// colours or turn the direction, stands there escaped, as Go writes it. Lines and tabs stay.
func whole(text string) string {
	i := 0
	for i < len(text) {
		r, size := utf8.DecodeRuneInString(text[i:])
		if !shown(r, size) {
			break
		}
		i += size
	}
	if i == len(text) { // as nearly all are
		return text
	}
	var out strings.Builder
	out.WriteString(text[:i])
	for i < len(text) {
		r, size := utf8.DecodeRuneInString(text[i:])
		if shown(r, size) {
			out.WriteString(text[i : i+size])
		} else {
			out.WriteString(strings.Trim(strconv.QuoteToASCII(text[i:i+size]), `"`))
		}
		i += size
	}
	return out.String()
}

// shown tells whether a rune, so many bytes of a text, is shown as it is.
func shown(r rune, size int) bool {
	switch {
	case r == utf8.RuneError && size == 1:
		return false
	case r == '\n' || r == '\t':
		return true
	}
	return !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r)
}

// A screen is a terminal that shows what is written to it whole.
type screen struct{ file *os.File }

// forPeople is w, or, where people read it, what shows them its text whole.
func forPeople(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok && isTerminal(file) {
		return screen{file}
	}
	return w
}

func (s screen) Write(text []byte) (int, error) {
	if _, err := io.WriteString(s.file, whole(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// fileOf is the file that w writes to, if it is one.
func fileOf(w any) (*os.File, bool) {
	if s, ok := w.(screen); ok {
		return s.file, true
	}
	file, ok := w.(*os.File)
	return file, ok
}

func isTerminal(w any) bool {
	file, ok := fileOf(w)
	return ok && term.IsTerminal(int(file.Fd()))
}
