//go:build !linux

package local

import "syscall"

// maxPath is how long the path in a socket's address can be, in bytes.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// shorten calls use with the path, if that fits into a socket's address.
func shorten(path string, use func(path string) error) error {
	if len(path) > maxPath {
		return tooLong(path, maxPath)
	}
	return use(path)
}
