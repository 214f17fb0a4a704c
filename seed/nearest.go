package seed

import "github.com/recap/pumpkin/internal/strict"

// Nearest is the known name that word is most likely a slip of the pen for,
// if there is one: at most a third of its letters inserted, dropped or
// exchanged. Case does not count, nor does what both have in common up to a
// colon, so that String:GREETNG finds String:GREETING, and String:NEW does not
// find String:OLD. Of equally near names it is the first.
func Nearest(word string, known []string) (string, bool) { return strict.Nearest(word, known) }
