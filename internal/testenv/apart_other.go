//go:build !linux

package testenv

// Apart does nothing: this system has no name spaces.
func Apart() {}
