package inject

import (
	"context"
	"os"
	"time"
)

// A watcher tells what happens in a folder from the moment it was made.
type watcher interface {
	// run tells out until ctx ends, and gives nil; or until the folder is
	// gone, and gives errGone. It releases the watcher.
	run(ctx context.Context, out chan<- notice) error
	// add has run tell what happens in a sub-folder, too, from here on. It may be called
	// while run runs, and again for the same one. An error says that it will not be
	// told.
	add(sub string) error
}

// A notice is something that happened to a file.
type notice struct {
	what what
	name string // below the folder; "" where no file is meant
}

// what is the kind of a notice.
type what int

const (
	appeared  what = iota + 1 // there is a file, which may be incomplete
	completed                 // it was closed after writing, or moved in
	entered                   // there is a folder, and perhaps something in it
	missed                    // something may have happened to any file
)

// tell gives out a notice unless ctx ends before it is taken.
func tell(ctx context.Context, out chan<- notice, n notice) {
	select {
	case out <- n:
	case <-ctx.Done():
	}
}

// pollEvery is how often a poller has the folder looked through.
const pollEvery = time.Second

// A poller is the watcher where the system tells nothing.
type poller struct {
	dir string
	why error // that it does not, though it should; nil where it never does
}

// add has nothing to do: what a poller tells is of all sub-folders.
func (p poller) add(string) error { return nil }

func (p poller) run(ctx context.Context, out chan<- notice) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if info, err := os.Stat(p.dir); err != nil || !info.IsDir() {
			return errGone
		}
		tell(ctx, out, notice{what: missed})
	}
}
