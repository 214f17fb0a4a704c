package faulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/circle"
	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/tests/faulttest/lan"
)

// meshPorts are those on which nodes listen.
const meshPorts = "7900-7999"

// TestUnmet has nodes of one key on one network, behind firewalls: each says that it has seen
// the other and does not reach it, everywhere where somebody may look.
func TestUnmet(t *testing.T) {
	t.Parallel()
	r := newTeam(t, "unmet", extractor(lan.Left), extractor(lan.Right))
	a, b := r.members[0], r.members[1]
	a.host.Deafen(meshPorts)
	b.host.Deafen(meshPorts)
	r.start(a, b)
	for _, m := range r.members {
		other := b
		if m == b {
			other = a
		}
		o := m.unmet(mesh.NoAnswer)
		if o.At != other.at() || o.By != string(mesh.ByBeacon) {
			t.Errorf("%s lists %+v; expected %s", m.title, o, other.at())
		}
		testenv.Eventually(t, meetTime, "its log tells of it", func() bool { return strings.Contains(m.said(), "a node is not reached") })
		if out, status := m.command("ps"); status != 0 || !strings.Contains(out, "NOT REACHED") || !strings.Contains(out, other.at()) || !strings.Contains(out, "open TCP port 7900 there") {
			t.Errorf("ps of %s exits with %d:\n%s", m.title, status, out)
		}
		if out, status := m.command("check"); status != 1 || !strings.Contains(out, other.at()+", as node "+m.name+" sees it: it does not answer: open TCP port 7900 there") {
			t.Errorf("check of %s exits with %d:\n%s", m.title, status, out)
		}
		if text := m.metrics(); !strings.Contains(text, `pumpkin_unreached_nodes{reason="no-answer"} 1`) {
			t.Errorf("the metrics of %s are\n%s", m.title, text)
		}
	}
	// One of them is reached: then they have met one way.
	b.host.Hear()
	o := a.unmet(mesh.OneWay)
	if o.Node != b.name || o.At != b.at() || o.Why != mesh.OneWay.Why() || !strings.Contains(o.Next, "--advertise") {
		t.Errorf("%s lists %+v", a.title, o)
	}
	o = b.unmet(mesh.OneWay)
	if o.Node != a.name || o.At != a.at() || !strings.Contains(o.Why, "it does not answer") {
		t.Errorf("%s lists %+v", b.title, o)
	}
	a.host.Hear()
	r.together(a, b)
	for _, m := range r.members {
		testenv.Eventually(t, meetTime, "all are met", func() bool { return len(m.outsiders()) == 0 })
		if n := strings.Count(m.said(), "reason=no-answer"); n != 1 {
			t.Errorf("the log of %s tells %d times that the other does not answer", m.title, n)
		}
	}
}

// TestJoinUnmet has a node that joins one of another key, an address where nobody is, and one
// where no node is.
func TestJoinUnmet(t *testing.T) {
	t.Parallel()
	const nobody = "10.77.0.200:7900"
	r := newTeam(t, "join unmet", extractor(lan.Left))
	stranger := newMember(r, "stranger", extractor(lan.Left), r.keyFile("other.key", key.New()))
	r.start(stranger)
	m := r.members[0]
	m.args = append(m.args, "--join", stranger.host.Addr.String()+":7900", "--join", nobody, "--join", stranger.host.Addr.String()+":1")
	r.start(m)
	for at, reason := range map[string]mesh.Reason{stranger.at(): mesh.WrongKey, "tcp://" + nobody: mesh.NoRoute, "tcp://" + stranger.host.Addr.String() + ":1": mesh.ConnectionRefused} {
		testenv.Eventually(t, meetTime, "it is listed that is not joined: "+string(reason), func() bool {
			for _, o := range m.outsiders() {
				if o.At == at && o.By == string(mesh.ByJoin) && o.Reason == string(reason) {
					return true
				}
			}
			return false
		})
	}
	out, status := m.command("check")
	if status != 1 || strings.Count(out, "warning: node unknown at ") != 3 {
		t.Errorf("check exits with %d:\n%s", status, out)
	}
	// The other has heard of this one, which is no fault of its network.
	testenv.Eventually(t, meetTime, "the stranger is named", func() bool {
		out, _ := stranger.command("ps")
		return strings.Contains(out, "nearby, with another key or in another group: "+m.host.Addr.String())
	})
	if out, status := stranger.command("check"); status != 0 {
		t.Errorf("check of the stranger exits with %d:\n%s", status, out)
	}
}

// TestAdvertised has a node behind a firewall that lets in at another port.
func TestAdvertised(t *testing.T) {
	t.Parallel()
	const door = 17900
	r := newTeam(t, "advertised", extractor(lan.Left), extractor(lan.Right))
	a, b := r.members[0], r.members[1]
	a.host.Deafen(meshPorts)
	at := netip.AddrPortFrom(a.host.Addr, door)
	forward(t, a.host, at, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), circle.Port))
	a.args = append(a.args, "--advertise", at.String())
	r.start(a, b)
	r.together(a, b)
	if out, _ := b.command("ps"); !strings.Contains(out, "tcp://"+at.String()) {
		t.Errorf("b has met a elsewhere:\n%s", out)
	}
	if all := b.outsiders(); len(all) > 0 {
		t.Errorf("b lists %+v", all)
	}
}

// forward leads what comes to an address of a host on to another, until the test's end.
func forward(t *testing.T, host *lan.Host, at, to netip.AddrPort) {
	t.Helper()
	var door net.Listener
	if err := host.Do(func() (err error) {
		door, err = net.Listen("tcp4", at.String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Close() })
	go func() { // ends with the test
		for {
			near, err := door.Accept()
			if err != nil {
				return // the test has ended
			}
			var far net.Conn
			if host.Do(func() (err error) {
				far, err = net.Dial("tcp4", to.String())
				return err
			}) != nil {
				near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() { // ends with the nodes
					io.Copy(way[0], way[1]) // until either end goes
					way[0].Close()
					way[1].Close()
				}()
			}
		}
	}()
}

// at is where the member's node is reached.
func (m *member) at() string { return fmt.Sprintf("tcp://%s:%d", m.host.Addr, circle.Port) }

// outsiders are the nodes that the member's node does not reach.
func (m *member) outsiders() []api.Outsider {
	m.team.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	all, err := m.node.client.Network(ctx)
	if err != nil {
		m.team.t.Fatal(err)
	}
	return all.Outsiders
}

// unmet waits until the member's node lists one alone, of that reason, and gives it.
func (m *member) unmet(reason mesh.Reason) (found api.Outsider) {
	m.team.t.Helper()
	testenv.Eventually(m.team.t, meetTime, fmt.Sprintf("%s lists a node: %s", m.title, reason), func() bool {
		all := m.outsiders()
		if len(all) != 1 || all[0].Reason != string(reason) {
			return false
		}
		found = all[0]
		return true
	})
	return found
}

// command runs a command against the member's node, and gives what it says and its exit status.
func (m *member) command(args ...string) (out string, status int) {
	m.team.t.Helper()
	cmd := exec.Command(os.Getenv(binaryEnv), append(args, "--group", m.team.group, "--node", m.name)...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+m.dir)
	text, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		m.team.t.Fatal(err)
	}
	return string(bytes.TrimSpace(text)), cmd.ProcessState.ExitCode()
}

// metrics are what the member's node shows to Prometheus.
func (m *member) metrics() string {
	m.team.t.Helper()
	_, text := m.ask("/metrics")
	return text
}

// ask gets a path from the member's node.
func (m *member) ask(path string) (status int, text string) {
	m.team.t.Helper()
	peers, err := m.find(context.Background())
	if err != nil {
		m.team.t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return local.Peer{Path: peers[0].Path}.Dial(ctx)
	}}}
	resp, err := client.Get("http://node" + path)
	if err != nil {
		m.team.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		m.team.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
