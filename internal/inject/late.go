package inject

import (
	"os"
	"time"
)

const (
	// lateFor is how long a file that was taken is looked at for changes.
	lateFor = 10 * time.Minute
	// maxLate is how many are; beyond that the oldest are left out.
	maxLate = 1000
	// lookEvery is how often these are looked at, and the whole folder.
	lookEvery = 10 * time.Second
)

// late are the files that were taken last, the oldest first. Who still writes to
// one writes what comes into no packet.
type late []lateFile

// A lateFile is a file that was taken and moved.
type lateFile struct {
	path  string
	taken stat
	until time.Time
}

func (l *late) add(path string, taken stat) {
	*l = append(*l, lateFile{path, taken, time.Now().Add(lateFor)})
	if len(*l) > maxLate {
		*l = (*l)[1:]
	}
}

// look gives the files that have changed since they were taken to tell, each
// once, and forgets them and those that are gone or were taken long ago.
func (l *late) check(tell func(path string, taken, now stat)) {
	var left late
	for _, file := range *l {
		info, err := os.Lstat(file.path)
		if err != nil || time.Now().After(file.until) {
			continue // it is its owner's
		}
		if now := statOf(file.taken.name, info); now.size != file.taken.size || now.changed != file.taken.changed {
			tell(file.path, file.taken, now)
			continue
		}
		left = append(left, file)
	}
	*l = left
}
