package beacon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// listen opens the port, which nodes of one machine share, for broadcasts both ways.
func listen(ctx context.Context, port int) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_BROADCAST} {
				failed = errors.Join(failed, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1))
			}
		})
		return errors.Join(err, failed)
	}}
	conn, err := config.ListenPacket(ctx, "udp4", ":"+strconv.Itoa(port))
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("open UDP port %d for beacons: a program that does not share it holds it (%w); see which with 'ss -ulpn sport = :%d' or 'lsof -i UDP:%d' and end it, or reach other nodes with --join", port, err, port, port)
	case err != nil:
		return nil, fmt.Errorf("open UDP port %d for beacons: %w; other nodes can still be reached with --join", port, err)
	}
	return conn.(*net.UDPConn), nil
}
