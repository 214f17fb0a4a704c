package circle

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/link"
	"github.com/recap/pumpkin/internal/mesh/meshtest"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestCopies has two nodes of one data folder, of which one must be a copy: the second says so,
// whoever reaches the other, and the first goes on with its peers.
func TestCopies(t *testing.T) {
	for _, dials := range []string{"the second", "the first"} {
		t.Run(dials, func(t *testing.T) {
			n := newNetwork(t)
			c := n.start("c", overTCP)
			n.data = "folder"
			a := n.start("x", overTCP, c.addr.String())
			n.expect(c, 10*time.Second, "x tcp")
			b := n.start("x", overTCP)
			if dials == "the second" {
				b.Sight(a.me.Boot, a.addr, mesh.Protocol)
			} else {
				a.Sight(b.me.Boot, b.addr, mesh.Protocol)
			}
			testenv.Eventually(tell{t, func() string { return a.log.String() + b.log.String() }}, 20*time.Second, "the second knows it", func() bool { return b.copied.Load() != nil })
			if at := *b.copied.Load(); at != "tcp://"+a.addr.String() {
				t.Errorf("it is said to be a copy of the folder of the node at %s; expected %s", at, a.addr)
			}
			o := expectUnmet(t, a, "tcp://"+b.addr.String(), mesh.Copied)
			if o.Node != "x" || !strings.Contains(o.Next, "empty folder") {
				t.Errorf("%+v", o)
			}
			expectUnmet(t, b, "tcp://"+a.addr.String(), mesh.Copied)
			// One that starts again is younger than a copy that holds its packets back, and
			// comes first all the same.
			a.stop()
			n.expect(c, 10*time.Second, "")
			a = n.start("x", overTCP, b.addr.String(), c.addr.String())
			n.expect(c, 10*time.Second, "x tcp")
			expectUnmet(t, a, "tcp://"+b.addr.String(), mesh.Copied)
			if a.copied.Load() != nil {
				t.Error("the first holds its packets back, since it was started again")
			}
		})
	}
}

// TestToldOfACopy has a node that is refused by another, since a third has its data folder.
func TestToldOfACopy(t *testing.T) {
	n := newNetwork(t)
	c := n.start("c", overTCP)
	n.data = "folder"
	a := n.start("x", overTCP, c.addr.String())
	n.expect(c, 10*time.Second, "x tcp")
	b := n.start("x", overTCP, c.addr.String())
	// It learns from c where the first is, and asks there.
	testenv.Eventually(tell{t, b.log.String}, 20*time.Second, "the second knows it", func() bool { return b.copied.Load() != nil })
	if at := *b.copied.Load(); at != "tcp://"+a.addr.String() {
		t.Errorf("it is said to be a copy of the folder of the node at %s; expected %s", at, a.addr)
	}
	if b.Doubtful() || a.copied.Load() != nil {
		t.Error("there is still doubt")
	}
	expectUnmet(t, c, "tcp://"+b.addr.String(), mesh.Copied)
}

// TestACopyThatIsNotReached is told of a node that it cannot ask: after a while it believes it.
func TestACopyThatIsNotReached(t *testing.T) {
	server, client := meshtest.TLS(t)
	copied := ""
	c, err := New(Config{
		Host: meshtest.NewHost("x", pebble.InMemory(pebble.Config{})), Server: server, Client: client, Log: slog.New(slog.DiscardHandler),
		Data: "folder", Copied: func(at string) { copied += at },
	})
	if err != nil {
		t.Fatal(err)
	}
	first := link.Hello{Protocol: mesh.Protocol, Node: "x", Boot: packet.NewID(), Data: "folder", Started: c.me.Started.Add(-time.Hour)}
	cand := &candidate{kind: join, by: mesh.ByJoin, addr: "10.0.0.1:7900"}
	c.consider(cand)
	told := &link.CopyError{Hello: first, At: "10.0.0.2:7900"}
	c.failure(cand, told)
	if !c.Doubtful() || copied != "" {
		t.Errorf("at first: doubt %v, copied %q", c.Doubtful(), copied)
	}
	if o := c.candidates["tcp://10.0.0.2:7900"]; o == nil || o.boot != first.Boot {
		t.Errorf("the other is not asked: %+v", o)
	}
	c.failure(cand, errors.New("something else"))
	if c.Doubtful() {
		t.Error("there is doubt without a reason")
	}
	c.failure(cand, told)
	cand.since = time.Now().Add(-2 * doubtTime)
	c.failure(cand, told)
	c.failure(cand, told)
	if c.Doubtful() || copied != "tcp://10.0.0.2:7900" {
		t.Errorf("later: doubt %v, copied %q", c.Doubtful(), copied)
	}
}

func TestWhichCameSecond(t *testing.T) {
	now := time.Now()
	a := link.Hello{Node: "x", Boot: packet.NewID(), Data: "folder", Started: now}
	for name, change := range map[string]func(*link.Hello){
		"it started later":  func(b *link.Hello) { b.Started = now.Add(time.Nanosecond) },
		"it holds back":     func(b *link.Hello) { b.Started, b.Held = now.Add(-time.Hour), true },
		"at the same time":  func(*link.Hello) {},
		"in another zone":   func(b *link.Hello) { b.Started = now.UTC() },
		"it started before": func(b *link.Hello) { b.Started = now.Add(-time.Nanosecond) },
	} {
		b := a
		b.Boot = packet.NewID()
		change(&b)
		if a.After(b) == b.After(a) {
			t.Errorf("%s: they disagree", name)
		}
		if !a.CopyOf(b) || b.Data == "" {
			t.Errorf("%s: they have one folder", name)
		}
		if (name == "it started later" || name == "it holds back") && !b.After(a) || name == "it started before" && b.After(a) {
			t.Errorf("%s: it came second: %v", name, b.After(a))
		}
	}
	other := a
	other.Boot, other.Data = packet.NewID(), ""
	if a.CopyOf(other) || a.CopyOf(a) {
		t.Error("a node of no folder, and the node itself, are no copies")
	}
}
