package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreePort is a TCP port of the loopback that was free a moment ago, for what has to be
// told its port before it listens. It is below those that the system gives to connections
// and listeners by itself, since tests that run at the same time have many of these.
func FreePort(t testing.TB) int {
	t.Helper()
	var err error
	for range 100 {
		var l net.Listener
		port := 10000 + rand.IntN(20000)
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close() // only looked
			return port
		}
	}
	t.Fatal(err)
	return 0
}
