package faulttest

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/tests/faulttest/lan"
)

// A process has a wall clock of its own here although the kernel has one for all:
// programs ask a function that the kernel puts into each process, the vDSO's, and
// a debugger may change its code in one process alone. The time since the start of
// the machine stays as it is, as when an administrator sets the clock.

// TestLANClocks has the wall clocks of nodes jump by an hour under load, to and
// fro, and starts others meanwhile, which have to meet them.
func TestLANClocks(t *testing.T) {
	r := newTeam(t, "clocks jump by an hour", company()...)
	r.start(r.members...)
	mayJump(t, r.members[0].node)
	r.together(r.members...)
	end := r.load()
	rounds := 4 * factor(t)
	for i := range rounds {
		r.moment()
		drawn := r.some(2)
		by := time.Hour
		if r.rand.IntN(2) == 0 {
			by = -by
		}
		if err := drawn[0].node.jump(by); err != nil {
			t.Fatalf("let the clock of %s jump: %v", drawn[0].title, err)
		}
		fmt.Fprintf(drawn[0].log, "--- the clock jumps by %v\n", by)
		if i%2 == 1 {
			drawn[1].kill() // its clock is right when it comes back
			r.start(drawn[1])
		}
		r.heal(r.members...)
	}
	end()
	r.finish(rounds)
}

// TestJump sees the clock of a process jump, and its timers go on. What the node
// stores bears the time of the clock as it was when the store was opened.
func TestJump(t *testing.T) {
	r := newTeam(t, "jump", both(lan.Left))
	m := r.members[0]
	r.start(m)
	mayJump(t, m.node)
	stored := func() time.Time {
		p := farPacket(drawID(r.rand), r.rand)
		p.State = "String:WAITS"
		m.put(p)
		st, err := m.node.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range st.Waiting {
			if w.State == p.State {
				return w.Since
			}
		}
		t.Fatal("a packet that nobody takes does not wait")
		return time.Time{}
	}
	for _, by := range []time.Duration{0, time.Hour, -time.Hour} {
		if err := m.node.jump(by); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(m.node.clock(t)).Round(time.Minute); off != by {
			t.Errorf("after a jump by %v the node's clock is off by %v", by, off)
		}
		if off := time.Until(stored()).Round(time.Minute); off != 0 {
			t.Errorf("after a jump by %v a packet is stored with a time that is off by %v", by, off)
		}
		if _, err := m.node.client.Drop(t.Context(), api.Selection{States: []packet.State{"String:WAITS"}}); err != nil {
			t.Fatal(err)
		}
	}
}

// clock is the wall clock of the node, as its answers say.
func (n *nodeProcess) clock(t *testing.T) time.Time {
	t.Helper()
	peers, err := n.find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return peers[0].Dial(ctx) },
	}}
	answer, err := client.Get("http://node/")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	return date
}

// jump has the wall clock of the node be off by that.
func (n *nodeProcess) jump(by time.Duration) error {
	pid := n.cmd.Process.Pid
	for range 100 {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		err := stopped(pid)
		if err == nil {
			err = setClock(pid, by)
		}
		if err := errors.Join(err, syscall.Kill(pid, syscall.SIGCONT)); !errors.Is(err, errInside) {
			return err
		}
	}
	return errInside
}

// errInside is a thread that is just in the function.
var errInside = errors.New("a thread is just reading the clock")

// stopped waits until no thread of the process runs.
func stopped(pid int) error {
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); time.Sleep(time.Millisecond) { // nothing tells
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			return err
		}
		running := false
		for _, path := range stats {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // the thread has ended
			}
			state := text[bytes.LastIndexByte(text, ')')+1:]
			running = running || !bytes.HasPrefix(state, []byte(" T"))
		}
		if !running {
			return nil
		}
	}
	return errors.New("the process does not stop")
}

// setClock changes the code of a process that is stopped.
func setClock(pid int, by time.Duration) error {
	start, size, err := vdso(pid)
	if err != nil {
		return err
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close() // what is written is there
	image, err := elf.NewFile(io.NewSectionReader(mem, start, size))
	if err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	symbols, err := image.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	for _, s := range symbols {
		if s.Name != "__vdso_clock_gettime" {
			continue
		}
		// A function that a thread is in would change under it; once the code is
		// this, only its own length counts.
		at, code := start+int64(s.Value), clockCode(by)
		if err := outside(pid, at, at+int64(len(code))); err != nil {
			return err
		}
		_, err := mem.WriteAt(code, at)
		return err
	}
	return errors.New("the vDSO has no function for the clock")
}

// clockCode asks the kernel for the time of a clock and adds to that of the wall.
func clockCode(by time.Duration) []byte {
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, //         syscall
		0x85, 0xff, //         test edi, edi
		0x75, 0x07, //         jnz to ret: it is not CLOCK_REALTIME
		0x48, 0x81, 0x06, //   add qword ptr [rsi], the seconds
	}
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(by/time.Second)))
	return append(code, 0xc3) // ret
}

// vdso is where the kernel's functions are in a process.
func vdso(pid int) (start, size int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		var end int64
		if _, err := fmt.Sscanf(line, "%x-%x", &start, &end); err != nil {
			return 0, 0, fmt.Errorf("maps of process %d: %q: %w", pid, line, err)
		}
		return start, end - start, nil
	}
	return 0, 0, errors.New("the process has no vDSO")
}

// outside tells whether no thread of a stopped process is between two addresses.
func outside(pid int, from, to int64) error {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil {
		return err
	}
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("where the threads of the process are: %w", err)
		}
		fields := strings.Fields(string(text)) // the last is where it is
		at, err := strconv.ParseUint(strings.TrimPrefix(fields[len(fields)-1], "0x"), 16, 64)
		if err != nil {
			return fmt.Errorf("%s: %q: %w", path, text, err)
		}
		if int64(at) > from && int64(at) < to {
			return errInside
		}
	}
	return nil
}

// mayJump skips where processes may not be changed.
func mayJump(t *testing.T, n *nodeProcess) {
	if err := n.jump(0); errors.Is(err, os.ErrPermission) {
		testenv.Lacks(t, "the right to change a process", err)
	}
}
