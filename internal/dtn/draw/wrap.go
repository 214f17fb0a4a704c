package draw

import (
	"strings"
)

// wrap breaks text at its blanks, so that no line is wider than width unless
// a word is. The first line begins with sign, the others as far in.
func wrap(sign, text string, width int) []string {
	indent := strings.Repeat(" ", columns(sign))
	var lines []string
	line, empty := sign, true
	for _, word := range strings.Fields(text) {
		if !empty && columns(line)+1+columns(word) > width {
			lines = append(lines, line)
			line, empty = indent+"  ", true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	return append(lines, line)
}
