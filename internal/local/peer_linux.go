package local

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// checkPeer refuses a connection whose other end is neither this user's nor
// root's: a second lock behind the folder's mode.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("ask who is at the other end: %w", failed)
	}
	return checkUser(int(cred.Uid), os.Getuid())
}

// checkUser tells whether a connection with the user peer may be had by the
// user own.
func checkUser(peer, own int) error {
	if peer != own && peer != 0 {
		return fmt.Errorf("the other end of the socket belongs to the user %d, and you are %d", peer, own)
	}
	return nil
}
