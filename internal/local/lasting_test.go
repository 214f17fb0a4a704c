package local

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/testenv"
)

// TestTheSocketComesBack takes away the folder of sockets, as what cleans temporary folders
// does, while the node lives.
func TestTheSocketComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sockets")
	l, err := newLasting(func() (*listener, error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		return bind(dir, "default", "a")
	}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				answered <- err
				return
			}
			conn.Write([]byte("x")) // who looks only whether it lives has gone
			conn.Close()            // only written
		}
	}()
	for range 3 {
		testenv.Eventually(t, 20*time.Second, "it answers", func() bool {
			conn, err := net.Dial("unix", filepath.Join(dir, "a"+suffix))
			if err != nil {
				return false
			}
			defer conn.Close() // only read
			n, _ := conn.Read(make([]byte, 1))
			return n == 1
		})
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answered; err == nil {
		t.Error("a closed listener accepts")
	}
}
