package supervise

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/worker/wire"
)

// The descriptors of a supervisor.
const (
	fdIn = 3 + iota
	fdOut
	fdStatus
	fdLifeline
)

// started is what the status pipe says first of a program that is kept alive.
const started = "started"

// howBegins begins what the status pipe says last of a program that has failed: a
// [wire.How] in JSON.
const howBegins = "\nhow "

// busyTime is the longest wait for a program that is being written; those
// before it make as much again.
const busyTime = 300 * time.Millisecond

// A supervisor is the inside of the process.
type supervisor struct {
	spec   Spec
	tree   *tree
	in     *bufio.Reader
	out    *os.File
	status *os.File
	child  atomic.Int64 // the program that runs, for SIGQUIT; 0 for none
	asked  atomic.Bool  // the node wants the run to end
	struck atomic.Bool  // somebody else wants everything to end
	before memory       // as it was when the program started

	changing sync.Mutex // held while a program is started and while all are ended

	telling sync.Mutex
	frame   []byte
}

// serve is the supervisor's life; it returns the exit status.
func serve(spec Spec) int {
	debug.SetGCPercent(50) // it should be small
	noCore()
	riskFirst()
	s := &supervisor{spec: spec, tree: newTree(spec.Group, spec.OwnMounts), out: os.NewFile(fdOut, "out"), status: os.NewFile(fdStatus, "status")}
	inFile := os.NewFile(fdIn, "in")
	s.in = bufio.NewReaderSize(inFile, 64<<10)
	for _, fd := range []int{fdIn, fdOut, fdStatus, fdLifeline} {
		syscall.CloseOnExec(fd)
	}
	go func() {
		lifeline, asked := os.NewFile(fdLifeline, "lifeline"), make([]byte, 1)
		for {
			if _, err := lifeline.Read(asked); err != nil {
				s.exit()
			}
			s.asked.Store(true)
			s.tree.terminate()
		}
	}()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGHUP)
	go func() {
		for sig := range signals {
			if sig != syscall.SIGQUIT {
				// What ends a service sends this to all of its processes: the run
				// has it as well. This one stays for as long as its node.
				s.struck.Store(true)
			} else if pid := s.child.Load(); pid != 0 && spec.Stack {
				syscall.Kill(int(pid), syscall.SIGQUIT) // it may just have ended
			}
		}
	}()
	// What it writes to the log of a node that is gone fails. Ignoring the signal would have
	// the program ignore it, too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	var ended string
	var err error
	switch spec.Role {
	case Exec:
		ended, err = s.exec(inFile)
	case Lines:
		ended, err = s.keep(s.environ(), inFile, s.out, os.Stderr)
	case Each:
		err = s.each()
	default:
		err = fmt.Errorf("there is no role %q", spec.Role)
	}
	if err != nil && err != io.EOF {
		ended = err.Error()
	}
	fmt.Fprint(s.status, ended)
	s.exit()
	return 0
}

// exit ends all descendants and this process. Its status says whether one did not end.
func (s *supervisor) exit() {
	s.changing.Lock() // nothing is started any more
	left := s.tree.sweep()
	s.tree.close()
	if !tellLeft(left) {
		os.Exit(0)
	}
	os.Exit(exitLeft)
}

// exitLeft is the exit status of a supervisor that could not end all descendants: they may still
// hold what the node reads.
const exitLeft = 3

// sweep ends what a run has left behind, and tells whether something of that did not end.
func (s *supervisor) sweep() bool {
	s.changing.Lock()
	left := s.tree.sweep()
	s.changing.Unlock()
	return tellLeft(left)
}

// tellLeft names in the log what could not be ended, and tells whether there is something.
func tellLeft(left []string) bool {
	if len(left) == 0 {
		return false
	}
	more := ""
	if extra := len(left) - maxNamed; extra > 0 {
		left, more = left[:maxNamed], fmt.Sprintf(", and %d more", extra)
	}
	show("a run has left behind what cannot be ended; end it by hand: " + strings.Join(left, ", ") + more)
	return true
}

// maxNamed is how many processes a line of the log names.
const maxNamed = 10

// environ is the environment of the program.
func (s *supervisor) environ() []string {
	if s.spec.Dir == "" {
		return os.Environ()
	}
	const workingDir = "PWD="
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, workingDir) })
	return append(env, "PMK_SEED_DIR="+s.spec.Dir, workingDir+s.spec.Dir)
}

// exec runs a program that speaks the protocol itself.
func (s *supervisor) exec(in *os.File) (string, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return "", err
	}
	return s.keep(append(s.environ(), "PMK_WORKER=3,4"), null, os.Stderr, os.Stderr, in, s.out)
}

// keep starts the program with these descriptors and waits for its end, which
// it returns. Whoever is to see a pipe's end must hold it alone: what this
// process has of the node's pipes it lets go of.
func (s *supervisor) keep(env []string, files ...*os.File) (string, error) {
	p, err := s.start(env, files...)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if f != os.Stderr {
			f.Close()
		}
	}
	s.before = memoryNow()
	s.child.Store(int64(p.Pid))
	fmt.Fprintln(s.status, started)
	// Orphans below fall to this process: they are waited for as well.
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return "", err
		case pid == p.Pid:
			how, err := json.Marshal(s.how(status))
			return s.endText(status) + howBegins + string(how), err
		}
	}
}

// start starts the program. One that is just being written (another
// process may hold it open a moment longer than its writer) is tried again.
func (s *supervisor) start(env []string, files ...*os.File) (*os.Process, error) {
	for wait := 5 * time.Millisecond; ; wait *= 2 {
		s.changing.Lock()
		p, err := s.tree.start(s.spec.Args, &os.ProcAttr{Dir: s.spec.Dir, Env: env, Files: files})
		s.changing.Unlock()
		if !errors.Is(err, syscall.ETXTBSY) || wait > busyTime {
			return p, err
		}
		time.Sleep(wait)
	}
}

// how is what a program's end says of its run.
func (s *supervisor) how(status syscall.WaitStatus) wire.How {
	return wire.How{
		Cut:   s.cut(status),
		Final: status.ExitStatus() == runner.ExitData,
		Later: status.ExitStatus() == runner.ExitTemp,
	}
}

// cut tells whether a run that ended so was ended from outside, most likely: by
// one of the signals that people and services send, as the shells report it as
// well, or, however it took it, when this process got one of them, too.
func (s *supervisor) cut(status syscall.WaitStatus) bool {
	sig := status.Signal()
	if !status.Signaled() {
		if status.ExitStatus() == 0 {
			return false
		}
		sig = syscall.Signal(status.ExitStatus() - 128)
	}
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL:
		return true
	}
	return !status.Signaled() && s.struck.Load()
}

// noCore keeps what is ended from leaving a file behind. Who wants one raises the
// limit again.
func noCore() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		syscall.Setrlimit(syscall.RLIMIT_CORE, &limit) // lowering it is always allowed
	}
}

// endText is how a program ended.
func (s *supervisor) endText(status syscall.WaitStatus) string {
	return statusText(status, status.Signaled() && status.Signal() == syscall.SIGKILL && s.before.ranOut(s.spec.Args[0]))
}

// statusText is how a program ended, with what a number means that shells give.
// oom says that the system has killed a process here since memory ran out.
func statusText(status syscall.WaitStatus, oom bool) string {
	if status.Signaled() {
		text := "killed by " + signalName(status.Signal())
		if oom {
			text += ", probably out of memory"
		}
		return text
	}
	text := fmt.Sprintf("exit status %d", status.ExitStatus())
	switch number := status.ExitStatus(); {
	case number == 126:
		text += " (a command is not executable)"
	case number == 127:
		text += " (a command was not found)"
	case number == 128+int(syscall.SIGPIPE):
		text += " (SIGPIPE: what it wrote to had ended)"
	case number > 128 && number < 128+32:
		text += " (" + signalName(syscall.Signal(number-128)) + ")"
	}
	return text
}

// greet reads the node's hello and answers it.
func (s *supervisor) greet() (wire.Hello, error) {
	header, _, err := wire.ReadHeader(s.in)
	if err != nil {
		return wire.Hello{}, err
	}
	hello, err := wire.ParseHello(header)
	if err != nil {
		return hello, err
	}
	frame, err := wire.AppendFrame(nil, wire.Answer{Pumpkin: wire.Version, Worker: "supervisor", Meta: true})
	if err != nil {
		return hello, err
	}
	_, err = s.out.Write(frame)
	return hello, err
}

// next reads the next run: its packets and their data.
func (s *supervisor) next() (run []wire.Entry, data []string, err error) {
	header, blob, err := wire.ReadHeader(s.in)
	if err != nil {
		return nil, nil, err
	}
	run, stop, err := wire.ParseRun(header, blob)
	if err != nil {
		return nil, nil, err
	}
	if stop && len(run) == 0 {
		return nil, nil, io.EOF
	}
	for _, e := range run {
		buf := make([]byte, e.Size)
		if _, err := io.ReadFull(s.in, buf); err != nil {
			return nil, nil, err
		}
		data = append(data, string(buf))
	}
	return run, data, nil
}

// tell sends a reply with the data of its outputs.
func (s *supervisor) tell(r *wire.Reply, blob ...string) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	size := int64(0)
	for _, b := range blob {
		size += int64(len(b))
	}
	frame, err := wire.End(r.Append(wire.Begin(s.frame)), size)
	if err != nil {
		return err
	}
	if size <= 32<<10 { // one write for what is small
		for _, b := range blob {
			frame = append(frame, b...)
		}
		blob = nil
	}
	s.frame = frame
	if _, err := s.out.Write(frame); err != nil {
		return err
	}
	for _, b := range blob {
		if _, err := s.out.WriteString(b); err != nil {
			return err
		}
	}
	return nil
}

// show passes what a program printed for people on to the log.
func show(text string) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	os.Stderr.WriteString(text) // the node reads it as long as it is there
}
