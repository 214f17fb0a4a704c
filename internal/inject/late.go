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
	taken look
	until time.Time
}

func (l *late) add(path string, taken look) {
	*l = append(*l, lateFile{path, taken, time.Now().Add(lateFor)})
	if len(*l) > maxLate {
		*l = (*l)[1:]
	}
}

// look gives the files that have changed since they were taken to tell, each
// once, and forgets them and those that are gone or were taken long ago.
func (l *late) look(tell func(path string, taken, now look)) {
	var left late
	for _, file := range *l {
		info, err := os.Lstat(file.path)
		if err != nil || time.Now().After(file.until) {
			continue // it is its owner's
		}
		if now := lookOf(file.taken.name, info); now.size != file.taken.size || now.changed != file.taken.changed {
			tell(file.path, file.taken, now)
			continue
		}
		left = append(left, file)
	}
	*l = left
}

// tellLate says which files have changed since they were taken.
func (f *Folder) tellLate() {
	f.late.look(func(path string, taken, now look) {
		f.cfg.Log.Warn("a file has changed after it was taken: its packet has what it held before; move it back when nothing is written to it any more, to make another packet of it",
			"file", path, "bytes", taken.size, "bytes now", now.size)
	})
}
