package seed

import (
	"bytes"
	"strings"
)

// A line is one line of a file, counted from 1.
type line struct {
	no   int
	text string
}

// splitLines is the lines of src without their ends.
func splitLines(src []byte) []line {
	src = bytes.TrimPrefix(src, []byte("\ufeff")) // the mark some editors put in front
	var lines []line
	for text := range strings.Lines(string(src)) {
		lines = append(lines, line{len(lines) + 1, strings.TrimRight(text, "\r\n")})
	}
	return lines
}

// leading is the leading comment of a file, each line without its comment
// marker, and the line on which the first code stands, 0 if there is none. A
// #! line and blank lines are passed over.
func leading(lines []line) (comment []line, code int) {
	block := false // within /* */
	for _, l := range lines {
		text := strings.TrimSpace(l.text)
		if text == "" || l.no == 1 && strings.HasPrefix(text, "#!") {
			continue
		}
		if !block {
			rest, opens := strings.CutPrefix(text, "/*")
			if !opens {
				rest, ok := uncomment(text)
				if !ok {
					return comment, l.no
				}
				comment = append(comment, line{l.no, rest})
				continue
			}
			block, text = true, rest
		}
		text, behind, closed := strings.Cut(text, "*/")
		comment = append(comment, line{l.no, strings.Trim(text, "* \t")})
		if closed {
			block = false
			if strings.TrimSpace(behind) != "" {
				return comment, l.no
			}
		}
	}
	return comment, 0
}

// uncomment is the text of a comment line; ok says that it is one.
func uncomment(text string) (rest string, ok bool) {
	for _, marker := range []string{"#", "//", "--", ";", "%"} {
		if strings.HasPrefix(text, marker) {
			// ## and ;;; are as good as one.
			return strings.TrimSpace(strings.TrimLeft(text, marker)), true
		}
	}
	return "", false
}
