package seed

import "fmt"

// An Error is what is wrong with a seed file, and where.
type Error struct {
	File string // as the reader was given it
	Line int    // counted from 1; 0 when the whole file is meant
	Msg  string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}
