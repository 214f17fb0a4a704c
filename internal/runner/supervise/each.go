package supervise

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/worker/wire"
	"github.com/recap/pumpkin/packet"
)

// pipeSize is what a pipe takes without a reader.
const pipeSize = 64 << 10

// each runs the program once for every packet.
func (s *supervisor) each() error {
	hello, err := s.greet()
	if err != nil {
		return err
	}
	work, out := filepath.Join(hello.Work, "work"), filepath.Join(hello.Work, "out")
	for _, dir := range []string{work, out} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	e := &eacher{supervisor: s, hello: hello, work: work, out: out,
		env: append(withoutRun(s.environ()), "PMK_WORK="+work, "PMK_OUT="+out)}
	for {
		run, data, err := s.next()
		if err != nil {
			return err
		}
		if err := e.runAll(run, data); err != nil {
			return err
		}
	}
}

// runAll runs the program on the packets of a frame.
func (e *eacher) runAll(run []wire.Entry, data []string) error {
	var claims runner.Claims
	claims.Start(len(run), func(from int) {
		back := wire.Nothing()
		back.Back = run[from].N
		e.tell(back) // where nobody reads any more, the next run says so
	})
	defer claims.End()
	for i, ok := claims.Next(); ok; i, ok = claims.Next() {
		if err := e.run(run[i], data[i]); err != nil {
			return err
		}
		if e.asked.Load() {
			return io.EOF
		}
	}
	return nil
}

// attributePrefix stands in front of an attribute's name in the environment.
const attributePrefix = "PMK_ATTR_"

// withoutRun is env without the place in a trace that the node was started with,
// perhaps by a run of another node: no run here has it.
func withoutRun(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, "TRACEPARENT=") || strings.HasPrefix(v, "TRACESTATE=")
	})
}

// An eacher runs one program after the other.
type eacher struct {
	*supervisor
	hello     wire.Hello
	work, out string
	env       []string
}

// An outcome is what one run gave.
type outcome struct {
	emits []wire.Emit
	blob  []string
	err   error // the packet's failure
	how   wire.How
	tail  string
}

func (e *eacher) run(entry wire.Entry, data string) error {
	started := wire.Nothing()
	started.Started = entry.N
	if err := e.tell(started); err != nil {
		return err
	}
	o := e.spawn(entry, data)
	for _, dir := range []string{e.work, e.out} {
		if err := empty(dir); err != nil {
			return err
		}
	}
	reply := wire.Nothing()
	done := wire.Done{N: entry.N}
	if o.err != nil {
		done.Failed, done.Error, done.Output, done.How = true, o.err.Error(), runner.Tail(o.tail), o.how
		o.blob = nil
	} else {
		reply.Emit = o.emits
	}
	reply.Done = []wire.Done{done}
	return e.tell(reply, o.blob...)
}

// spawn runs the program on one packet.
func (e *eacher) spawn(entry wire.Entry, data string) (o outcome) {
	env := append(e.env[:len(e.env):len(e.env)], "PMK_STATE="+entry.State, "PMK_ID="+entry.ID,
		"PMK_SHIP="+entry.Ship, "PMK_ATTEMPT="+strconv.Itoa(entry.Attempt))
	for name, value := range entry.Attributes {
		env = append(env, attributePrefix+strings.ToUpper(name)+"="+value)
	}
	if entry.Trace != "" {
		env = append(env, "TRACEPARENT="+entry.Trace)
	}
	if e.spec.DataPath {
		path := filepath.Join(e.hello.Work, "data"+runner.Ending(entry.Attributes, strings.HasSuffix(entry.Ship, ":"+entry.ID)))
		// The data is the path of the node's file of it, in another folder.
		if err := os.Rename(data, path); err != nil {
			o.err = fmt.Errorf("the data for $PMK_DATA: %w", err)
			return o
		}
		defer os.Remove(path)
		env, data = append(env, "PMK_DATA="+path), ""
	}
	in, feed, err := os.Pipe()
	if err != nil {
		o.err = err
		return o
	}
	stdout := newCapture(e.hello.Max)
	stderr := newCapture(runner.MaxTail)
	if o.err = errors.Join(stdout.open(), stderr.open()); o.err != nil {
		return o
	}
	if len(data) <= pipeSize {
		feed.WriteString(data) // it fits; a program that does not read it is no failure
		feed.Close()
		feed = nil
	}
	p, err := e.start(env, in, stdout.w, stderr.w)
	in.Close()
	stdout.w.Close()
	stderr.w.Close()
	if err != nil {
		o.err = err
		if feed != nil {
			feed.Close()
		}
		stdout.r.Close()
		stderr.r.Close()
		return o
	}
	e.before = memoryNow()
	e.child.Store(int64(p.Pid))
	if feed != nil {
		go func() {
			feed.WriteString(data) // as above
			feed.Close()
		}()
	}
	stdout.overflow = func() { p.Kill() }
	go stdout.read()
	go stderr.readTail()
	state, err := p.Wait()
	e.child.Store(0)
	if e.sweep() { // what the run left behind, so that its output ends
		stdout.endSoon()
		stderr.endSoon()
	}
	<-stdout.done
	<-stderr.done
	o.tail = stderr.text()
	switch {
	case stdout.over:
		o.err = fmt.Errorf("printed more than %d bytes", e.hello.Max)
	case err != nil:
		o.err = err
	case !state.Success():
		status := state.Sys().(syscall.WaitStatus)
		o.err, o.how = errors.New(e.endText(status)), e.how(status)
	default:
		o.err = e.collect(entry, stdout.text(), &o)
	}
	return o
}

// collect makes packets of the files in $PMK_OUT, or of what was printed.
func (e *eacher) collect(entry wire.Entry, printed string, o *outcome) error {
	files, err := os.ReadDir(e.out)
	if err != nil {
		return err
	}
	if len(e.hello.Out) == 0 { // an extractor: what it prints is for people
		show(printed)
		if len(files) > 0 {
			return fmt.Errorf("wrote %s to $PMK_OUT, and its contract has no output", files[0].Name())
		}
		return nil
	}
	add := func(state, data string) {
		o.emits = append(o.emits, wire.Emit{N: entry.N, State: state, Size: int64(len(data))})
		o.blob = append(o.blob, data)
	}
	if len(files) == 0 {
		if printed != "" {
			add("", printed)
		}
		return nil
	}
	show(printed)
	for _, f := range files {
		state, err := e.stateOf(f)
		if err != nil {
			return err
		}
		if info, err := f.Info(); err != nil {
			return err
		} else if info.Size() > e.hello.Max {
			return fmt.Errorf("%s has %d bytes; at most %d are allowed", f.Name(), info.Size(), e.hello.Max)
		}
		data, err := os.ReadFile(filepath.Join(e.out, f.Name()))
		if err != nil {
			return err
		}
		add(state, string(data))
	}
	return nil
}

// stateOf reads the name of a file in $PMK_OUT: NNN.STATE.
func (e *eacher) stateOf(f fs.DirEntry) (string, error) {
	number, state, ok := strings.Cut(f.Name(), ".")
	if _, err := strconv.ParseUint(number, 10, 32); !ok || err != nil || !f.Type().IsRegular() {
		return "", fmt.Errorf("%s in $PMK_OUT: expected files named NNN.STATE, such as 001.%s", f.Name(), packet.State(e.hello.Out[0]).Name())
	}
	for _, out := range e.hello.Out {
		if state == out || state == packet.State(out).Name() {
			return state, nil
		}
	}
	return "", fmt.Errorf("%s in $PMK_OUT: its contract gives no %s, but %s", f.Name(), state, strings.Join(e.hello.Out, " | "))
}

// empty removes what is in dir, and makes it again if a run has removed it.
func empty(dir string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.RemoveAll(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// A capture reads what a program writes to one of its descriptors.
type capture struct {
	r, w     *os.File
	most     int64
	buf      []byte
	over     bool
	overflow func()
	done     chan struct{}
}

func newCapture(most int64) *capture { return &capture{most: most, done: make(chan struct{})} }

func (c *capture) open() (err error) {
	c.r, c.w, err = os.Pipe()
	return err
}

// endSoon has what reads it take what is there, and no longer wait for its end.
func (c *capture) endSoon() { c.r.SetReadDeadline(time.Now().Add(time.Second)) }

// read keeps all, and stops beyond most.
func (c *capture) read() {
	defer close(c.done)
	defer c.r.Close()
	buf, err := io.ReadAll(io.LimitReader(c.r, c.most+1))
	c.buf = buf
	if c.over = int64(len(buf)) > c.most; c.over {
		c.buf = nil
		c.overflow()
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.buf = append(c.buf, err.Error()...)
	}
}

// readTail passes everything on to the log as it comes, and keeps the end.
func (c *capture) readTail() {
	defer close(c.done)
	defer c.r.Close()
	chunk := make([]byte, 4<<10)
	for {
		n, err := c.r.Read(chunk)
		os.Stderr.Write(chunk[:n]) // the node reads it as long as it is there
		c.buf = append(c.buf, chunk[:n]...)
		if extra := len(c.buf) - 2*int(c.most); extra > 0 {
			c.buf = append(c.buf[:0], c.buf[len(c.buf)-int(c.most):]...)
		}
		if err != nil {
			return
		}
	}
}

func (c *capture) text() string { return string(c.buf) }
