package lan

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxFrame is the longest frame that is looked at: what the kernel puts together
// from several counts as one.
const maxFrame = 128 << 10

// Watch calls saw with every frame that goes over a bridge, until the end of the
// test; a frame is seen at each port that it passes. saw is called from one
// goroutine, and does not keep the frame.
func (l *LAN) Watch(saw func(frame []byte)) (end func()) {
	l.t.Helper()
	var wire *os.File
	l.must(l.hub.do(func() (err error) {
		wire, err = tap()
		return err
	}))
	var watching sync.WaitGroup
	watching.Go(func() {
		buf := make([]byte, maxFrame)
		for {
			n, err := wire.Read(buf)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil {
				l.t.Errorf("watch the LAN: %v", err)
				return
			}
			saw(buf[:n])
		}
	})
	end = sync.OnceFunc(func() {
		wire.Close() // only read
		watching.Wait()
	})
	l.t.Cleanup(end)
	return end
}

// tap opens what sees every frame of this thread's network.
func tap() (*os.File, error) {
	every := uint16(unix.ETH_P_ALL)>>8 | uint16(unix.ETH_P_ALL)<<8&0xff00 // in the order of the network
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(every))
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
		unix.Close(fd) // the error that counts is the other
		return nil, fmt.Errorf("make room for frames: %w", err)
	}
	return os.NewFile(uintptr(fd), "the wire"), nil
}
