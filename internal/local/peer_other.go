//go:build !linux

package local

import "net"

// checkPeer accepts everybody: the mode of the folder is the lock here.
func checkPeer(*net.UnixConn) error { return nil }
