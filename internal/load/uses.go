package load

import (
	"sync"

	"github.com/recap/pumpkin/internal/uses"
	"github.com/recap/pumpkin/seed"
)

// Uses knows what seeds use beside their files, so that a change of that is one of the seed. It is
// safe for concurrent use.
type Uses struct {
	mu   sync.Mutex
	of   map[string]used // by the seed's file
	sums uses.Sums
	more chan struct{} // has an element when something was added
}

// used is what one seed uses.
type used struct {
	manifest seed.Manifest // what its header names
	imported []string
	version  string // that was loaded last
}

// NewUses knows of no seed.
func NewUses() *Uses { return &Uses{of: map[string]used{}, more: make(chan struct{}, 1)} }

// File is [File], and notes what the header says, also one that names what is not there.
func (u *Uses) File(path string) (seed.Manifest, error) {
	m, err := readFile(path, &u.sums)
	if m.File != "" {
		u.note(m)
	}
	return m, err
}

// Folder is [Folder], and notes what the headers say.
func (u *Uses) Folder(dir string) (ms []seed.Manifest, errs []error) { return readFolder(dir, u.File) }

// note notes what the header of a file says.
func (u *Uses) note(m seed.Manifest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.of[m.File]
	now.manifest = m
	u.of[m.File] = now
}

// Version is that of a seed that was read, with what it is known to import.
func (u *Uses) Version(m seed.Manifest) string {
	u.mu.Lock()
	now := u.of[m.File]
	u.mu.Unlock()
	set, err := u.sums.Look(m, now.imported)
	if err != nil {
		return m.Version // what is wrong is said where the file is read
	}
	return set.Version(m)
}

// Loaded notes what the seed of a file has imported. version is that of what was loaded, "" if it
// could not be: what it imported before may then still count.
func (u *Uses) Loaded(file string, imported []string, version string) {
	u.mu.Lock()
	now := u.of[file]
	known := map[string]bool{}
	for _, path := range now.imported {
		known[path] = true
	}
	more := false
	for _, path := range imported {
		more = more || !known[path]
		delete(known, path)
	}
	if version == "" {
		for path := range known {
			imported = append(imported, path)
		}
	} else {
		now.version = version
	}
	now.imported = imported
	u.of[file] = now
	u.mu.Unlock()
	if more {
		select {
		case u.more <- struct{}{}:
		default: // it is looked at anyway
		}
	}
}

// Newest is the version of the seed of a file that was loaded last; "" for none.
func (u *Uses) Newest(file string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.of[file].version
}

// Forget is for a file that is no seed any more.
func (u *Uses) Forget(file string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.of, file)
}

// list is what the seed of a file uses: files, and folders in which one more may be. A name that
// stands for no file is left out.
func (u *Uses) list(file string) (files, folders []string) {
	u.mu.Lock()
	now := u.of[file]
	u.mu.Unlock()
	files, folders, _ = uses.Files(now.manifest) // what is wrong is said where the file is read
	return append(files, now.imported...), folders
}
