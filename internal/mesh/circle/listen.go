package circle

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// listenPorts is how many ports are tried for one that is free.
const listenPorts = 100

// Port is where a node listens over TCP if it can.
const Port = 7900

// Listen opens a TCP port for other nodes: Port or, where it is taken, the next
// that is free. host is the address to listen on; "" is every one.
func Listen(host string) (net.Listener, error) { return listen(host, Port) }

func listen(host string, first int) (net.Listener, error) {
	var err error
	for port := first; port < first+listenPorts; port++ {
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("no TCP port of %d to %d can be opened for other nodes to reach this one: %w", first, first+listenPorts-1, err)
}
