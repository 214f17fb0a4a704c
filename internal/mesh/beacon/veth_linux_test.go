package beacon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// machineEnv has this test's binary be one of two machines: a process with a
// network of its own. It holds the network's key.
const machineEnv = "PMK_TEST_BEACON_MACHINE"

func TestMain(m *testing.M) {
	text := os.Getenv(machineEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := machine(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// machine waits for a line with the name of its interface and its address, and
// runs a beacon there until its standard input ends. It prints when it began and
// when it sighted another, in nanoseconds.
func machine(text string) error {
	k, err := key.Parse(text)
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	var name, addr string
	if _, err := fmt.Fscanln(in, &name, &addr); err != nil {
		return fmt.Errorf("wait for a network: %w", err)
	}
	for _, args := range [][]string{{"addr", "add", addr, "dev", name}, {"link", "set", name, "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, in) // whatever ends it
		cancel()
	}()
	told := false
	b := New(Config{Seal: k.Group("default"), Boot: packet.NewID(), TCP: 7900, Sighted: func(s Sighting) {
		if !told {
			told = true
			fmt.Println("sighted", time.Now().UnixNano(), s.Addr)
		}
	}})
	fmt.Println("began", time.Now().UnixNano(), addr)
	return b.Run(ctx)
}

// TestTwoMachines has two machines, joined by a cable, find each other at the
// usual port.
func TestTwoMachines(t *testing.T) {
	ip := testenv.Need(t, "ip")
	if os.Getuid() != 0 {
		testenv.Lacks(t, "root", errors.New("it makes networks"))
	}
	text := key.New().Text()
	a, b := newMachine(t, text), newMachine(t, text)
	// The ends are of the machines from the beginning, and go with them.
	cable := exec.CommandContext(t.Context(), ip, "link", "add", "pmka", "netns", strconv.Itoa(a.pid), "type", "veth", "peer", "name", "pmkb", "netns", strconv.Itoa(b.pid))
	if out, err := cable.CombinedOutput(); err != nil {
		testenv.Lacks(t, "a cable between networks", fmt.Errorf("%w: %s", err, out))
	}
	a.begin(t, "pmka", "10.77.0.1/24")
	a.read(t, "began")
	b.begin(t, "pmkb", "10.77.0.2/24")
	from, _ := b.read(t, "began")
	atB, addrA := b.read(t, "sighted")
	atA, addrB := a.read(t, "sighted")
	if addrA != "10.77.0.1:7900" || addrB != "10.77.0.2:7900" {
		t.Errorf("sighted at %s and %s; expected 10.77.0.1:7900 and 10.77.0.2:7900", addrA, addrB)
	}
	there, back := atA.Sub(from), atB.Sub(from)
	t.Logf("the newcomer was heard after %v, and heard the other after %v", there, back)
	if max(there, back) > time.Second {
		t.Errorf("it took %v; expected less than a second", max(there, back))
	}
}

type aMachine struct {
	pid int
	in  io.Writer
	out *bufio.Scanner
}

func newMachine(t *testing.T, text string) *aMachine {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), machineEnv+"="+text)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		testenv.Lacks(t, "networks of its own", err)
	}
	t.Cleanup(func() {
		defer cancel()
		in.Close()
		if err := cmd.Wait(); err != nil && !t.Skipped() {
			t.Errorf("a machine ended with: %v", err)
		}
	})
	return &aMachine{pid: cmd.Process.Pid, in: in, out: bufio.NewScanner(out)}
}

func (m *aMachine) begin(t *testing.T, name, addr string) {
	t.Helper()
	if _, err := fmt.Fprintln(m.in, name, addr); err != nil {
		t.Fatal(err)
	}
}

// read reads the next line, of that kind.
func (m *aMachine) read(t *testing.T, kind string) (time.Time, string) {
	t.Helper()
	if !m.out.Scan() {
		t.Fatalf("the machine ended before it %s", kind)
	}
	words := strings.Fields(m.out.Text())
	if len(words) != 3 || words[0] != kind {
		t.Fatalf("the machine says %q; expected %s", m.out.Text(), kind)
	}
	ns, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, ns), words[2]
}
