//go:build !linux

// Package netfs tells whether a folder lies on a file system that other machines
// may write to as well: no event tells what they do there.
package netfs

// Kind names the file system that dir lies on if it is one that other machines may
// write to; "" is that it is none, or not known, as here.
func Kind(string) string { return "" }
