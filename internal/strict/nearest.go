package strict

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// maxWord is the longest word that [Nearest] compares, in bytes: the time it
// takes grows with the square.
const maxWord = 256

// Nearest is the known name that word is most likely a slip of the pen for:
// the one with the fewest letters inserted, dropped or exchanged, if they are
// no more than a third; two neighbours in the wrong order count as one. Upper and lower case are
// the same to it, and so is what both have in common up to a colon, which says nothing of how near
// they are. Of equally near names it is the first.
func Nearest(word string, known []string) (string, bool) {
	if len(word) > maxWord {
		return "", false
	}
	best, found := "", false
	bestDistance := 0
	for _, name := range known {
		if len(name) > maxWord {
			continue
		}
		a, b := pastColon(strings.ToLower(word), strings.ToLower(name))
		distance := levenshtein.ComputeDistance(a, b)
		if distance == 2 && swapped(a, b) {
			distance = 1
		}
		if distance > max(len(a), len(b))/3 || found && distance >= bestDistance {
			continue
		}
		best, bestDistance, found = name, distance, true
	}
	return best, found
}

// pastColon is both words without what they have in common up to a colon.
func pastColon(a, b string) (string, string) {
	for {
		i := strings.IndexByte(a, ':')
		if i < 0 || !strings.HasPrefix(b, a[:i+1]) {
			return a, b
		}
		a, b = a[i+1:], b[i+1:]
	}
}

// swapped tells whether a is b with two neighbouring letters exchanged.
func swapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
