package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/testenv"
)

// A node that comes, changes, and goes is known at once.
func TestComeChangeLeave(t *testing.T) {
	t.Parallel()
	s := cluster(t, 1)
	a := dial(t, "a", s...).run("")
	b := dial(t, "b", s...).run("")
	other := dial(t, "c", s...).run("another")
	a.eventually("b", long)
	b.eventually("a", long)
	if p := a.peer("b"); p.Store() != nil || p.At() == "" || p.Card().Version != "test" {
		t.Errorf("the peer has the store %v, is at %q, and says %+v", p.Store(), p.At(), p.Card())
	}
	b.host("greet")
	testenv.Eventually(t, long, "a knows the new seed", func() bool { return len(a.peer("b").Card().Seeds) == 1 })

	// What is said again without a change is not told.
	meets := a.met()
	later := time.NewTimer(2*renewEvery + renewEvery/2)
	<-later.C
	if a.met() != meets {
		t.Errorf("the node was told %d times of nothing new", a.met()-meets)
	}
	if got := other.sees(); got != "" {
		t.Errorf("a node of another group sees %s", got)
	}

	p := a.peer("b")
	// Not from pings, which are answered on, nor from the age of its card.
	if _, err := other.conn.Subscribe("pmkmesh.default."+b.Card().Boot.String()+".ping", func(msg *nats.Msg) { msg.Respond(nil) }); err != nil {
		t.Fatal(err)
	}
	if err := other.conn.FlushTimeout(long); err != nil {
		t.Fatal(err)
	}
	b.end()
	a.eventually("", lapse-renewEvery-renewEvery/2)
	select {
	case <-p.Gone():
	default:
		t.Error("the peer that left is not gone")
	}
	if err := <-b.over; err != nil {
		t.Errorf("it ended with %v", err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://node/", nil)
	if _, err := p.RoundTrip(req); !errors.Is(err, mesh.ErrGone) {
		t.Errorf("a node that left was asked, and said %v", err)
	}
}

// A process that dies is gone for the others within little more than a second,
// and may come back under its name at once.
func TestDeath(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	a := dial(t, "a", s[0]).run("")
	c := dial(t, "c", s[2]).run("")
	b := dial(t, "b", s[1]).run("")
	a.eventually("b c", long)
	c.eventually("a b", long)
	pinged := a.heardGone()
	b.conn.Close() // as the kernel does for a process that ends
	took := a.eventually("c", long)
	c.eventually("a", long)
	if !pinged() {
		t.Error("a death was known by the card's age alone")
	}
	t.Logf("a death was known after %v", took)

	again := dial(t, "b", s[2]).run("")
	a.eventually("b c", long)
	if a.peer("b").Card().Boot != again.Card().Boot {
		t.Error("the node that came back is the one that died")
	}
}

// The first node of a name keeps it.
func TestTaken(t *testing.T) {
	t.Parallel()
	s := cluster(t, 1)
	a := dial(t, "a", s...).run("")
	watcher := dial(t, "w", s...).run("")
	watcher.eventually("a", long)
	if _, err := dial(t, "a", s...).join(""); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "as a") {
		t.Errorf("a second node of the name was told %v", err)
	}
	if got := watcher.peer("a").Card().Boot; got != a.Card().Boot {
		t.Errorf("the name is now that of %s", got)
	}
	if _, err := dial(t, "a b", s...).join(""); err == nil {
		t.Error("a name with a space was taken")
	}
	if _, err := dial(t, "x", s...).join(strings.Repeat("g", maxGroup+1)); err == nil {
		t.Error("a group with a very long name was taken")
	}
}

// A server that ends takes no node with it for long.
func TestServerEnds(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	a := dial(t, "a", s[0], s[1], s[2]).run("")
	b := dial(t, "b", s[1], s[0], s[2]).run("")
	a.eventually("b", long)
	s[0].Shutdown()
	s[0].WaitForShutdown()
	testenv.Eventually(t, long, "a is connected again", a.conn.IsConnected)
	b.host("greet")
	testenv.Eventually(t, long, "a knows what b hosts since", func() bool {
		p := a.peer("b")
		return p != nil && len(p.Card().Seeds) == 1
	})
	a.host("other")
	testenv.Eventually(t, long, "b knows what a hosts since", func() bool {
		p := b.peer("a")
		return p != nil && len(p.Card().Seeds) == 1
	})
}

// What a node's HTTP interface answers comes whole, or there is a clear error.
func TestAsk(t *testing.T) {
	t.Parallel()
	s := cluster(t, 1)
	b := dial(t, "b", s...)
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Query", r.URL.RawQuery)
		w.WriteHeader(http.StatusTeapot)
		io.Copy(w, r.Body)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscan(r.URL.RawQuery, &n)
		w.Write(bytes.Repeat([]byte("x"), n))
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("a handler's mistake") })
	asked := make(chan struct{})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { close(asked); <-r.Context().Done() })
	b.api = mux
	b.run("")
	a := dial(t, "a", s...).run("")
	a.eventually("b", long)
	client := http.Client{Transport: a.peer("b")}
	post := func(ctx context.Context, path string, body []byte) (*http.Response, []byte, error) {
		req, err := http.NewRequestWithContext(ctx, "POST", "http://b"+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		return resp, data, err
	}

	resp, data, err := post(t.Context(), "/echo?a=1", []byte("hello"))
	if err != nil || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Query") != "a=1" || string(data) != "hello" {
		t.Errorf("the answer is %+v, %q, %v", resp, data, err)
	}
	for _, n := range []int{0, 1, partSize, 3*partSize + 1, 8 << 20} {
		if _, data, err := post(t.Context(), fmt.Sprintf("/large?%d", n), nil); err != nil || len(data) != n {
			t.Errorf("of an answer of %d bytes came %d, %v", n, len(data), err)
		}
	}
	for _, c := range []struct {
		path string
		body []byte
		want string
	}{
		{"/large?8388609", nil, "more than 8 MiB"},
		{"/echo", make([]byte, 2<<20), "max_payload"},
		{"/panic", nil, "could not answer"},
	} {
		if _, _, err := post(t.Context(), c.path, c.body); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s said %v; expected %q", c.path, err, c.want)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, _, err := post(ctx, "/hang", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was given up said %v", err)
	}
}

// What others wrote under a node's name is read with care.
func TestBadCards(t *testing.T) {
	t.Parallel()
	s := cluster(t, 1)
	a := dial(t, "a", s...).run("")
	h, err := dial(t, "b", s...).join("")
	if err != nil {
		t.Fatal(err)
	}
	a.eventually("b", long)
	for name, data := range map[string]string{
		"empty":    "",
		"text":     "hello",
		"newer":    `{"protocol":99,"card":{"node":"newer","version":"9.0"}}`,
		"other":    `{"protocol":2,"card":{"node":"somebody","boot":"` + h.boot.String() + `"}}`,
		"bootless": `{"protocol":2,"card":{"node":"bootless"}}`,
	} {
		if _, err := h.cards.PutString(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
	dial(t, "last", s...).run("")
	a.eventually("b last", long) // it came after them
	h.deafen()
	h.leave()
	a.eventually("last", long)
}

// A node whose card is not renewed any more is gone within ten seconds, though
// its connection still answers.
func TestLapse(t *testing.T) {
	t.Parallel()
	s := cluster(t, 1)
	a := dial(t, "a", s...).run("")
	joined := time.Now()
	h, err := dial(t, "b", s...).join("") // and never runs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.deafen)
	a.eventually("b", long)
	a.eventually("", lapse+long)
	if took := time.Since(joined); took < lapse {
		t.Errorf("it was gone after %v already", took)
	}
}

// A node whose name was taken while it was cut off is told so, and leaves the
// other's card alone.
func TestLostName(t *testing.T) {
	t.Parallel()
	s := cluster(t, 1)
	a := dial(t, "a", s...).run("")
	watcher := dial(t, "w", s...)
	h, err := watcher.join("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.deafen)
	other := dial(t, "a", s...)
	taken := &Hub{cfg: Config{Conn: other.conn, Host: other}}
	data, err := taken.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.cards.Put(t.Context(), "a", data); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-a.over:
		if !errors.Is(err, ErrTaken) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(long):
		t.Fatal("it does not end")
	}
	there, err := h.cards.Get(t.Context(), "a")
	if err != nil || !bytes.Equal(there.Value(), data) {
		t.Errorf("the other's card is gone: %v", err)
	}
}

// In a group that is larger than a round of pings, a death is found by one and
// told to all.
func TestMany(t *testing.T) {
	t.Parallel()
	const size = 2*pingsAtOnce + 4
	s := cluster(t, 1)
	var nodes []*node
	var names []string
	for i := range size {
		name := fmt.Sprintf("n%02d", i)
		nodes, names = append(nodes, dial(t, name, s...).run("")), append(names, name)
	}
	for i, n := range nodes {
		n.eventually(strings.Join(slices.Delete(slices.Clone(names), i, i+1), " "), long)
	}
	dead := size / 2
	nodes[dead].conn.Close()
	start := time.Now()
	names = slices.Delete(names, dead, dead+1)
	nodes = slices.Delete(nodes, dead, dead+1)
	for i, n := range nodes {
		n.eventually(strings.Join(slices.Delete(slices.Clone(names), i, i+1), " "), long)
	}
	t.Logf("%d nodes knew of a death after %v", len(nodes), time.Since(start))
}
