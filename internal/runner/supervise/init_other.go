//go:build !linux

package supervise

// AsInit returns at once: there are no containers here whose first process this could be.
func AsInit() {}
