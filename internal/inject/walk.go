package inject

import (
	"context"
	"io"
	"os"
	"path"
)

const (
	// maxDepth is how deep sub-folders are looked into.
	maxDepth = 100
	// namesAtOnce is how many names of a folder are read at a time.
	namesAtOnce = 1024
)

// A walk looks at what lies in a folder and its sub-folders. It holds the names that it
// has read of each folder on its way down, and no more.
type walk struct {
	of  *finder
	ctx context.Context
	// visit is told of each file: whether it is one to take, or else why it is left
	// alone, "" for what nobody expects to be taken. It returns whether to go on.
	visit func(l stat, ok bool, why string) bool
}

// below looks at a sub-folder, "" for the folder itself.
func (w *walk) below(sub string) error {
	dir, err := w.of.openBelow(sub)
	if err != nil {
		return err
	}
	_, err = w.dir(dir, sub, 0)
	return err
}

// dir looks at a folder that is open, and closes it. It tells whether to go on.
func (w *walk) dir(dir *os.File, sub string, depth int) (more bool, err error) {
	defer dir.Close() // only read
	w.of.observe(sub) // first: what comes from here on is told
	for {
		names, err := dir.Readdirnames(namesAtOnce)
		for _, name := range names {
			if w.ctx.Err() != nil || !w.one(dir, path.Join(sub, name), depth) {
				return false, nil
			}
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// look looks at what has the name, in a folder that is open. It tells whether to go on.
func (w *walk) one(in *os.File, name string, depth int) bool {
	l, ok, why := w.of.judge(name)
	if !l.mode.IsDir() {
		return w.visit(l, ok, why)
	}
	if !ok {
		return true
	}
	if depth == maxDepth {
		return w.visit(l, false, "it lies too deep in folders")
	}
	dir, err := openDir(in, path.Base(name))
	if err == nil {
		more := false
		if more, err = w.dir(dir, name, depth+1); err == nil {
			return more
		}
	}
	if !away(err) {
		return w.visit(l, false, "a folder cannot be looked into: "+reason(err).Error())
	}
	return true
}
