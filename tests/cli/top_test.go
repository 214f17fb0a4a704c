//go:build unix

package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/recap/pumpkin/internal/cli/top"
	"github.com/recap/pumpkin/internal/testenv"
)

// A tube is a terminal as far as pmk top uses it: it knows what is on each line,
// and keeps all that came.
type tube struct {
	mu    sync.Mutex
	lines map[int]string
	all   bytes.Buffer
	ended chan struct{}
}

var (
	atLine = regexp.MustCompile(`\x1b\[(\d+);1H`)
	styles = regexp.MustCompile(`\x1b\[[0-9]*m|\x1b\[K|\x1b\[J`)
)

// watch reads what the program writes until it ends.
func (s *tube) watch(r io.Reader) {
	defer close(s.ended)
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		s.mu.Lock()
		s.all.Write(buf[:n])
		s.paint()
		s.mu.Unlock()
		if err != nil { // on Linux EIO, when nobody has the other side any more
			return
		}
	}
}

// paint works out what the lines are. The caller holds s.mu.
func (s *tube) paint() {
	text := s.all.String()
	if i := strings.LastIndex(text, "\x1b[2J"); i >= 0 {
		text = text[i:]
		clear(s.lines)
	}
	at := atLine.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		line, err := strconv.Atoi(text[m[2]:m[3]])
		if err == nil {
			s.lines[line] = styles.ReplaceAllString(text[m[1]:end], "")
		}
	}
}

func (s *tube) shows(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines {
		if strings.Contains(line, what) {
			return true
		}
	}
	return false
}

// height is the number of the last line.
func (s *tube) height() (last int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range s.lines {
		last = max(last, line)
	}
	return last
}

func (s *tube) raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// startHello runs a node with the hello world seeds until the test ends, and gives
// the environment in which it is found.
func startHello(t *testing.T) []string {
	t.Helper()
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	node := exec.Command("pmk")
	node.Env = env
	var out bytes.Buffer
	node.Stdout, node.Stderr = &out, &out
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(node.Process.Signal(syscall.SIGTERM), node.Wait()); err != nil {
			t.Errorf("the node: %v\n%s", err, out.String())
		}
	})
	testenv.Eventually(t, 20*time.Second, "the node answers", func() bool {
		ps := exec.CommandContext(t.Context(), "pmk", "ps")
		ps.Env = env
		return ps.Run() == nil
	})
	return env
}

// TestTop in a real terminal: it shows the network, takes keys, follows the size of
// the terminal, and leaves it as it was.
func TestTop(t *testing.T) {
	env := startHello(t)
	cmd := exec.CommandContext(t.Context(), "pmk", "top")
	cmd.Env = append(env, "TERM=xterm")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	screen := &tube{lines: map[int]string{}, ended: make(chan struct{})}
	go screen.watch(tty)
	see := func(what string) {
		t.Helper()
		testenv.Eventually(t, 20*time.Second, "it shows "+what, func() bool { return screen.shows(what) })
	}
	press := func(keys string) {
		t.Helper()
		if _, err := io.WriteString(tty, keys); err != nil {
			t.Fatal(err)
		}
	}
	see("pmk top   node")
	see("extract")
	see("sort (by name)")
	if h := screen.height(); h != 24 {
		t.Errorf("it has %d lines of 24", h)
	}
	press("s")
	see("sort (by in/s)")
	press("sssss\x1b[B\r") // by name again; the second seed is greet
	see("seed greet")
	see("String:UNGREETED -> String:GREETING")
	press("p")
	see("seed greet is paused")
	see("paused on 1 of its 1 node")
	press("p")
	see("seed greet runs again")
	testenv.Eventually(t, 20*time.Second, "it is not shown as paused", func() bool { return !screen.shows("paused on") })
	press("q")
	see("sort (by name)")
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 20*time.Second, "it fills the larger terminal", func() bool { return screen.height() == 40 })
	press("q")
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if err := tty.Close(); err != nil {
		t.Error(err)
	}
	<-screen.ended
	raw := screen.raw()
	if !strings.HasSuffix(raw, "\x1b[?25h\x1b[?1049l") || !strings.Contains(raw, "\x1b[7m") {
		t.Errorf("at the end came %q", raw[max(len(raw)-60, 0):])
	}
}

// TestTopWithoutATerminal prints what happens in a second, as text or JSON, and no
// colours.
func TestTopWithoutATerminal(t *testing.T) {
	env := startHello(t)
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), "pmk", args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("pmk %s: %v\n%s", args, err, out)
		}
		return out
	}
	if out := string(run("top")); strings.Contains(out, "\x1b") || !strings.Contains(out, "greet") || !strings.Contains(out, "STORE") {
		t.Errorf("as text: %q", out)
	}
	var sample top.Sample
	if err := json.Unmarshal(run("top", "--json"), &sample); err != nil || len(sample.Seeds) != 3 || len(sample.Network.Nodes) != 1 {
		t.Errorf("as JSON: %+v, %v", sample, err)
	}
}
