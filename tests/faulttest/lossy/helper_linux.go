package lossy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/recap/pumpkin/internal/testenv"
)

// helperEnv makes a test's binary the server of a disk: the rule, the seed and
// the folder where it is mounted, with spaces between.
const helperEnv = "PMK_TEST_LOSSY"

// Main serves a disk if this process was started for it, and then exits. Call
// it first thing in TestMain: the file system has a process of its own, since
// one that serves and uses it can wait for itself.
func Main() {
	args := os.Getenv(helperEnv)
	if args == "" {
		return
	}
	if err := help(args, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lossy:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// help serves until orders end: then the test is over, however it ended.
func help(args string, orders io.Reader, answers io.Writer) error {
	var rule Rule
	var seed uint64
	rest, dir, _ := strings.Cut(args, ":")
	if _, err := fmt.Sscan(rest, &rule, &seed); err != nil {
		return err
	}
	disk := NewDisk(rule, seed)
	server, err := mount(disk.FS(), dir)
	if err != nil {
		return fmt.Errorf("mount on %s: %w", dir, err)
	}
	defer func() { unmount(server, dir) }()
	fmt.Fprintln(answers, "ready")
	for lines := bufio.NewScanner(orders); lines.Scan(); {
		switch lines.Text() {
		case "off":
			loss := disk.PowerOff()
			fmt.Fprintln(answers, "ok", loss.Names, loss.Pages)
		case "on":
			unmount(server, dir)
			if server, err = mount(disk.FS(), dir); err != nil {
				return fmt.Errorf("mount on %s again: %w", dir, err)
			}
			fmt.Fprintln(answers, "ok 0 0")
		default:
			return errors.New("unknown order " + strconv.Quote(lines.Text()))
		}
	}
	return nil
}

// unmount takes the file system from dir at once, even from programs that are
// still there.
func unmount(server *fuse.Server, dir string) {
	if syscall.Unmount(dir, syscall.MNT_DETACH) != nil {
		server.Unmount() // through fusermount, for who is not root
	}
}

// A Mount is a disk that is mounted, served by a process of its own. Its
// methods are for one goroutine at a time.
type Mount struct {
	t       testing.TB
	dir     string
	orders  io.WriteCloser
	answers *bufio.Reader
	close   func()
}

// Start mounts an empty disk until the test ends. Without /dev/fuse, or the
// right to mount, the test is skipped at home and fails in CI.
func Start(t testing.TB, rule Rule, seed uint64) *Mount {
	t.Helper()
	fuseDevice, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		testenv.Lacks(t, "/dev/fuse", err)
	}
	fuseDevice.Close()
	if os.Getuid() != 0 {
		testenv.Need(t, "fusermount3")
	}
	m := &Mount{t: t, dir: t.TempDir()}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d:%s", helperEnv, rule, seed, m.dir))
	cmd.Stderr = os.Stderr
	if m.orders, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.answers = bufio.NewReader(answers)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.close = sync.OnceFunc(func() {
		m.orders.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server of %s: %v", m.dir, err)
			syscall.Unmount(m.dir, syscall.MNT_DETACH) // if it died
		}
	})
	if line, err := m.answers.ReadString('\n'); line != "ready\n" {
		cmd.Wait() // it said why
		testenv.Lacks(t, "the right to mount "+m.dir, err)
	}
	t.Cleanup(m.close)
	return m
}

// Dir is where the disk is mounted.
func (m *Mount) Dir() string { return m.dir }

// PowerOff forgets what was not synced. Until PowerOn everything fails with
// EIO, and for programs that have files open here even then.
func (m *Mount) PowerOff() Loss { return m.order("off") }

// PowerOn mounts what is left.
func (m *Mount) PowerOn() { m.order("on") }

func (m *Mount) order(what string) (loss Loss) {
	m.t.Helper()
	fmt.Fprintln(m.orders, what) // an error shows in the answer
	line, err := m.answers.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscanf(line, "ok %d %d", &loss.Names, &loss.Pages)
	}
	if err != nil {
		m.t.Fatalf("the server of %s, asked %q, said %q: %v", m.dir, what, line, err)
	}
	return loss
}
