// Package supervise keeps the processes of a seed together: every worker runs
// below a supervisor, which is this program again in another role, and which
// takes all descendants with it when it ends, or when the node does, however
// that happens.
//
// On Linux the supervisor is what all of its descendants fall to that lose
// their parent, those that hide in a session of their own included: it looks
// for them and kills them. Where it may make a control group, the kernel does
// that. So a run has the process numbers, the /proc, the users and the groups
// that it has in a shell. On other systems it asks the process group to end.
//
// A supervisor has these descriptors: 3 and 4, the pipes from and to the node,
// which it hands on to its program or speaks the worker protocol on; 5, where it
// says that its program has started and how it ended; 6, its lifeline, whose end means that
// the node is gone or wants it gone, and on which a byte asks the run to end (SIGTERM to all
// of it); 2, the log.
package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/worker/wire"
)

// Role is what a supervisor does with its program.
type Role string

// The roles.
const (
	Exec  Role = "exec"  // the program speaks the worker protocol itself
	Each  Role = "each"  // the program runs once for each packet
	Lines Role = "lines" // the node's pipes are the program's standard input and output
)

// A Spec says what a supervisor is to run.
type Spec struct {
	Role Role     `json:"role"`
	Args []string `json:"args"` // the program's path and arguments
	// Dir is the folder of the seed's file: the program's working folder, and
	// PMK_SEED_DIR in its environment. "" leaves it where the node is.
	Dir string `json:"dir,omitempty"`
	// Source is what a program loads that loads the seed's file; its node tells it.
	Source string `json:"-"`
	// DataPath hands the data over as a file's path ($PMK_DATA): what is sent of a packet
	// is the path of a file below the hello's work folder.
	DataPath bool `json:"data_path,omitempty"`
	// Stack says that the program shows its stack when it is sent SIGQUIT,
	// which ends others.
	Stack bool `json:"stack,omitempty"`
	// Group is where the control group of its processes is to be, and OwnMounts that they
	// have mounts for themselves. [Start] sets both.
	Group     string `json:"group,omitempty"`
	OwnMounts bool   `json:"own_mounts,omitempty"`
}

// variable holds the Spec in a supervisor's environment, in JSON; its children
// do not see it.
const variable = "PUMPKIN_SUPERVISE"

// Main returns at once in an ordinary process; in one that [Start] started it
// is the supervisor and never returns. A program that starts workers calls it
// before anything else.
func Main() {
	text, ok := os.LookupEnv(variable)
	if !ok {
		return
	}
	os.Unsetenv(variable)
	var spec Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", variable, err)
		os.Exit(2)
	}
	os.Exit(serve(spec))
}

// A Process is a supervisor as its node sees it.
type Process struct {
	// To and From are the pipes to and from the program, or, in the role
	// Each, its supervisor.
	To, From *os.File
	// Log is the standard error of the supervisor and all below it; it ends
	// when they have ended.
	Log *os.File

	cmd      *exec.Cmd
	status   *os.File
	said     *bufio.Reader // of status
	lifeline *os.File
	stack    bool
	ended    chan struct{} // closed when the supervisor has ended
	ask      sync.Once
	close    sync.Once
}

// Start starts a supervisor.
func Start(spec Spec) (*Process, error) {
	spec.Group = groupPath()
	var err error
	var pipes [5][2]*os.File // in, out, status, lifeline, log
	closeAll := func(side int) {
		for _, p := range pipes {
			if p[side] != nil {
				p[side].Close()
			}
		}
	}
	for i := range pipes {
		if pipes[i][0], pipes[i][1], err = os.Pipe(); err != nil {
			closeAll(0)
			closeAll(1)
			return nil, fmt.Errorf("start a worker: %w", err)
		}
	}
	in, out, status, lifeline, log := pipes[0], pipes[1], pipes[2], pipes[3], pipes[4]
	cmd, err := launch(func(ownMounts bool) (*exec.Cmd, error) {
		spec.OwnMounts = ownMounts
		text, err := json.Marshal(spec)
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(self())
		cmd.Args = append([]string{"pmk-supervisor"}, spec.Args[0])
		cmd.Env = append(runner.StepEnviron(os.Environ()), variable+"="+string(text))
		cmd.Stderr = log[1]
		cmd.ExtraFiles = []*os.File{in[0], out[1], status[1], lifeline[0]}
		return cmd, nil
	})
	for _, f := range []*os.File{in[0], out[1], status[1], lifeline[0], log[1]} {
		f.Close()
	}
	p := &Process{
		To: in[1], From: out[0], Log: log[0], status: status[0], said: bufio.NewReader(status[0]), lifeline: lifeline[1],
		cmd: cmd, stack: spec.Stack, ended: make(chan struct{}),
	}
	if err != nil {
		p.closeFiles()
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	go func() { // ends with the supervisor, which Close sees to
		defer close(p.ended)
		cmd.Wait()           // how the program ended is told on the status pipe
		endGroup(spec.Group) // unless the supervisor has
		if cmd.ProcessState.ExitCode() == exitLeft {
			go endOutput(p.From) // end with what they read
			go endOutput(p.Log)
		}
	}()
	return p, nil
}

// self is the program that runs, even if its file was replaced.
func self() string {
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		return "/proc/self/exe"
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// Started waits until the program runs; its error says why it does not. In the
// role Each there is nothing to wait for.
func (p *Process) Started(ctx context.Context) error {
	p.status.SetReadDeadline(time.Time{}) // pipes have deadlines
	defer context.AfterFunc(ctx, func() { p.status.SetReadDeadline(time.Unix(1, 0)) })()
	text, _ := p.said.ReadString('\n') // an error is the end of what was said
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case text == "":
		return errors.New("killed")
	case strings.TrimSpace(text) != started:
		return errors.New(text)
	}
	return nil
}

// AwaitEnd waits until the program has ended, and all below it; the error is ctx's.
func (p *Process) AwaitEnd(ctx context.Context) error {
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ended is how the program ended, such as "exit status 3" or "killed by
// SIGSEGV", and what that says of its run. It waits for the end, at most within.
func (p *Process) Ended(within time.Duration) (end string, how wire.How) {
	p.status.SetReadDeadline(time.Now().Add(within))
	text, err := io.ReadAll(io.LimitReader(p.said, 1000))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "still running", how
	}
	end, more, _ := strings.Cut(strings.TrimPrefix(string(text), started+"\n"), howBegins)
	if end = strings.TrimSpace(end); end == "" {
		return "killed", wire.How{Cut: true} // the supervisor as well
	}
	json.Unmarshal([]byte(more), &how) // what was cut short says nothing
	return end, how
}

// HasEnded tells whether the program has ended, and all below it.
func (p *Process) HasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// endOutput ends what is read from a run once all was read that is there: somebody holds it who
// could not be ended.
func endOutput(from *os.File) {
	raw, err := from.SyscallConn()
	for empty := false; err == nil && !empty; {
		time.Sleep(100 * time.Millisecond)
		err = raw.Control(func(fd uintptr) { // an error is that it was closed
			there := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // as the system gave it
			n, err := unix.Poll(there, 0)
			empty = n == 0 && err == nil
		})
	}
	from.Close()
}

// AskStack asks the program for its stack, and tells whether it shows it.
func (p *Process) AskStack() bool { return p.stack && p.cmd.Process.Signal(syscall.SIGQUIT) == nil }

// AskToEnd asks the run to end, once: all processes of it are sent SIGTERM.
func (p *Process) AskToEnd() {
	p.ask.Do(func() { p.lifeline.Write([]byte{0}) }) // a supervisor that has ended needs no asking
}

// Close ends the supervisor and every process below it, and waits for them. Its
// input ends first, which tells a program that has nothing to do that it may go:
// it is left for patience. Then the run is asked to end, and has grace for that.
func (p *Process) Close(patience, grace time.Duration) error {
	p.close.Do(func() {
		p.To.Close()
		if !p.endsWithin(patience) {
			p.AskToEnd()
			p.endsWithin(grace)
		}
		p.lifeline.Close()
		select {
		case <-p.ended:
		case <-time.After(endTime):
			p.cmd.Process.Kill() // it may just have ended
			<-p.ended
		}
		p.From.Close()
		p.status.Close()
	})
	return nil
}

// endTime is how long a supervisor may take to end all below it, of which what does not end takes
// the most.
const endTime = 13 * time.Second

func (p *Process) endsWithin(d time.Duration) bool {
	if d <= 0 {
		return p.HasEnded()
	}
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-p.ended:
		return true
	case <-limit.C:
		return false
	}
}

func (p *Process) closeFiles() {
	for _, f := range []*os.File{p.To, p.From, p.Log, p.status, p.lifeline} {
		f.Close()
	}
}
