//go:build !linux

package inject

// watch makes the watcher of a folder.
func watch(dir string) (watcher, error) { return poller{dir: dir}, nil }
