package lan

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/testenv"
)

// An ear counts the datagrams that a host hears.
type ear struct {
	conn  *net.UDPConn
	heard atomic.Int64
}

func hear(t *testing.T, h *Host) *ear {
	t.Helper()
	e := &ear{}
	err := h.Do(func() (err error) {
		e.conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: 7700})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := e.conn.Read(make([]byte, 100)); err != nil {
				return
			}
			e.heard.Add(1)
		}
	}()
	t.Cleanup(func() {
		e.conn.Close()
		<-ended
	})
	return e
}

// call has e's host broadcast until the other hears it, or as often as it does not
// matter any more.
func (e *ear) call(t *testing.T, other *ear, expect bool) {
	t.Helper()
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(Broadcast), 7700))
	before := other.heard.Load()
	tries := 0
	testenv.Eventually(t, 5*time.Second, "the other host hears", func() bool {
		// A host without a cable has nowhere to send to.
		if _, err := e.conn.WriteTo([]byte("hello over there"), to); err != nil && expect {
			t.Fatal(err)
		}
		tries++
		return other.heard.Load() > before || !expect && tries == 50
	})
	if heard := other.heard.Load() > before; heard != expect {
		t.Errorf("the other host heard: %v; expected %v", heard, expect)
	}
}

func TestLAN(t *testing.T) {
	l := New(t)
	a, b, c := hear(t, l.Host(Left)), l.Host(Left), hear(t, l.Host(Right))
	bEar := hear(t, b)
	var seen atomic.Int64
	end := l.Watch(func(frame []byte) {
		if bytes.Contains(frame, []byte("hello over there")) {
			seen.Add(1)
		}
	})
	a.call(t, bEar, true)
	a.call(t, c, true)
	l.Part()
	a.call(t, bEar, true)
	a.call(t, c, false)
	l.Join()
	a.call(t, c, true)
	b.Unplug()
	a.call(t, bEar, false)
	b.Plug()
	bEar.call(t, c, true)
	testenv.Eventually(t, 5*time.Second, "the frames are seen", func() bool { return seen.Load() > 6 })
	end()

	ifs, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range ifs {
		if strings.HasPrefix(i.Name, "port") || strings.HasPrefix(i.Name, "joint") {
			t.Errorf("%s is on the machine's own network", i.Name)
		}
	}
}

// TestNothingIsLeft sees a LAN end with its test.
func TestNothingIsLeft(t *testing.T) {
	var dir string
	t.Run("lan", func(t *testing.T) {
		l := New(t)
		l.Host(Right)
		dir = l.dir
	})
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if dir != "" && strings.Contains(string(mounts), " "+dir) {
		t.Errorf("namespaces are still mounted in %s", dir)
	}
}
