package inject

import (
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

// A stat is what can be told of a file without reading it. Two that are
// equal saw the same file with the same data.
type stat struct {
	name    string // below the folder
	mode    fs.FileMode
	size    int64
	changed int64 // when its data last changed, Unix time in ns
	status  int64 // when its data, names or rights last did, likewise
	inode   uint64
	links   uint64 // how many names it has
}

// lookOf is what info tells of the file of that name.
func statOf(name string, info fs.FileInfo) stat {
	l := stat{name: name, mode: info.Mode(), size: info.Size(), changed: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		l.inode, l.links, l.status = uint64(st.Ino), uint64(st.Nlink), statusTime(st)
	}
	return l
}

// passing are the endings of the names of files that are on their way to
// another name.
var passing = []string{"~", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp", ".filepart"}

// ignored tells whether a file of that name is hidden or temporary.
func ignored(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") {
		return true
	}
	name = strings.ToLower(name)
	return slices.ContainsFunc(passing, func(end string) bool { return strings.HasSuffix(name, end) })
}
