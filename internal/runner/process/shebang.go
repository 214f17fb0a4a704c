package process

import "strings"

// interpreterOf is the interpreter of a script that begins with text, or "".
func interpreterOf(text string) string {
	rest, ok := strings.CutPrefix(text, "#!")
	if !ok {
		return ""
	}
	line, _, _ := strings.Cut(rest, "\n")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}

// isText tells whether a file that begins with head is text rather than a
// program that the system knows by its first bytes.
func isText(head string) bool {
	return head != "" && strings.IndexFunc(head, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r\f", r) || r == 0xfffd }) < 0
}
