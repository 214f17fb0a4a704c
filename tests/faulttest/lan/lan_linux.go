package lan

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
)

// A LAN is a network of hosts. It is for one goroutine at a time, but for
// [Host.Do] and [Host.Start].
type LAN struct {
	t     testing.TB
	dir   string
	hub   space // where the bridges are
	hosts int
}

// New makes a LAN that lasts until the test's end. It skips the test where
// namespaces are not allowed or the command ip is missing.
func New(t testing.TB) *LAN {
	t.Helper()
	testenv.Need(t, "ip")
	l := &LAN{t: t, dir: t.TempDir()}
	var err error
	if l.hub, err = newSpace(filepath.Join(l.dir, "hub")); err != nil {
		testenv.Lacks(t, "network namespaces", err)
	}
	l.closeLater(l.hub)
	for _, half := range []Half{Left, Right} {
		l.must(l.hub.ip("link", "add", half.bridge(), "type", "bridge"))
		l.must(l.hub.ip("link", "set", half.bridge(), "up"))
	}
	l.must(l.hub.ip("link", "add", "joint0", "type", "veth", "peer", "name", "joint1"))
	l.must(l.hub.ip("link", "set", "joint0", "master", Left.bridge()))
	l.must(l.hub.ip("link", "set", "joint1", "master", Right.bridge()))
	l.Join()
	return l
}

func (l *LAN) closeLater(s space) {
	l.t.Cleanup(func() {
		if err := s.close(); err != nil {
			l.t.Error(err)
		}
	})
}

func (l *LAN) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatalf("the test's LAN: %v", err)
	}
}

// Part takes the cable between the halves away, and Join puts it back.
func (l *LAN) Part() { l.t.Helper(); l.must(l.hub.ip("link", "set", "joint0", "down")) }

// Join joins the halves.
func (l *LAN) Join() {
	l.t.Helper()
	l.must(l.hub.ip("link", "set", "joint0", "up"))
	l.must(l.hub.ip("link", "set", "joint1", "up"))
}

// A Host is a machine on a LAN, as far as its network goes.
type Host struct {
	// Addr is its address.
	Addr  netip.Addr
	lan   *LAN
	space space
	port  string // at the bridge
}

// Host adds a host to a half.
func (l *LAN) Host(half Half) *Host {
	l.t.Helper()
	l.hosts++
	addr := netip.MustParsePrefix(address(l.hosts))
	h := &Host{lan: l, Addr: addr.Addr(), port: fmt.Sprintf("port%d", l.hosts)}
	var err error
	h.space, err = newSpace(filepath.Join(l.dir, h.port))
	l.must(err)
	l.closeLater(h.space)
	l.must(l.hub.ip("link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.space.file))
	l.must(l.hub.ip("link", "set", h.port, "master", half.bridge(), "up"))
	l.must(h.space.ip("addr", "add", addr.String(), "broadcast", "+", "dev", "eth0"))
	l.must(h.space.ip("link", "set", "eth0", "up"))
	return h
}

// Unplug takes the host's cable out, and Plug puts it in again.
func (h *Host) Unplug() { h.lan.t.Helper(); h.lan.must(h.lan.hub.ip("link", "set", h.port, "down")) }

// Plug connects the host.
func (h *Host) Plug() { h.lan.t.Helper(); h.lan.must(h.lan.hub.ip("link", "set", h.port, "up")) }

// Deafen has the host drop, without an answer, what comes over its cable to TCP ports of
// others, as a firewall does; Hear ends that.
func (h *Host) Deafen(ports string) {
	h.lan.t.Helper()
	// The rules for addresses of the host itself come first: they make room.
	h.lan.must(h.space.ip("rule", "add", "pref", "10", "lookup", "local"))
	h.lan.must(h.space.ip("rule", "del", "pref", "0", "lookup", "local"))
	h.lan.must(h.space.ip("rule", "add", "pref", "1", "iif", "eth0", "ipproto", "tcp", "dport", ports, "blackhole"))
}

// Hear has the host take what Deafen has it drop.
func (h *Host) Hear() { h.lan.t.Helper(); h.lan.must(h.space.ip("rule", "del", "pref", "1")) }

// Start starts a process on the host.
func (h *Host) Start(cmd *exec.Cmd) error { return h.space.do(cmd.Start) }

// Do calls f so that the sockets that it opens on its own goroutine are the
// host's, and returns its error. f must return: it is not for the test's goroutine
// to be ended in it.
func (h *Host) Do(f func() error) error { return h.space.do(f) }
