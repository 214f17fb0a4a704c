package runnertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/internal/runner/python"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

func TestMain(m *testing.M) {
	supervise.Main()
	if file := os.Getenv("RUNNERTEST_NODE"); file != "" {
		beNode(file)
	}
	os.Exit(m.Run())
}

// beNode runs a seed that leaves a process behind, says which, and stays.
func beNode(file string) {
	open := process.Open
	if strings.HasSuffix(file, ".py") {
		open = python.Open
	}
	mode := seed.PerPacket
	if strings.HasSuffix(file, ".lines") {
		mode = seed.Lines
	}
	r, err := open(seed.Manifest{Name: "orphan", File: file, Mode: mode, Contract: seed.Contract{
		In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"},
	}}, runner.Env{})
	if err != nil {
		panic(err)
	}
	w, err := r.Open(context.Background())
	if err != nil {
		panic(err)
	}
	sink := &Sink{}
	sink.OnEmit = func(int) { fmt.Println(sink.Outs[0].Data) }
	if err := w.Run(context.Background(), Packets("x"), sink); err != nil {
		panic(err)
	}
	time.Sleep(time.Hour) // a line was answered; the node lives on until it is killed
}

// A node that is killed takes its workers and all their children along, those
// in a session of their own included.
func TestNothingOutlivesAKilledNode(t *testing.T) {
	testenv.Need(t, "python3")
	for name, source := range map[string]string{
		"seed.py":    strings.Replace(orphanPython, "    return mark\n", "    yield mark\n    import time\n    time.sleep(1000)\n", 1),
		"seed.sh":    "#!/bin/sh\n" + strings.Replace(orphanShell, "printf %s $mark", "echo $mark >"+markFile+"; sleep 1000", 1),
		"loud.sh":    "#!/bin/sh\n" + strings.Replace(orphanShell, "printf %s $mark", "echo $mark >"+markFile+"; while :; do echo noise >&2; done", 1),
		"seed.lines": "#!/bin/sh\nread -r line\n" + strings.Replace(orphanShell, "printf %s $mark", "echo $mark; sleep 1000", 1),
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, name, source)
			said := filepath.Join(filepath.Dir(file), "mark")
			node := exec.Command(os.Args[0])
			node.Env = append(os.Environ(), "RUNNERTEST_NODE="+file, "MARK="+said)
			out, err := node.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := node.Start(); err != nil {
				t.Fatal(err)
			}
			mark := ""
			if !strings.HasSuffix(name, ".sh") {
				mark, err = bufio.NewReader(out).ReadString('\n')
				if err != nil {
					t.Error(err)
				}
			} else {
				testenv.Eventually(t, 20*time.Second, "the seed says its mark", func() bool {
					text, _ := os.ReadFile(said)
					mark = string(text)
					return strings.HasSuffix(mark, "\n")
				})
			}
			mark = strings.TrimSpace(mark)
			testenv.Eventually(t, 20*time.Second, "the orphan runs", func() bool { return alive(mark) })
			if err := node.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			node.Wait() // it was killed
			testenv.Eventually(t, 20*time.Second, "the orphan is gone", func() bool { return !alive(mark) })
		})
	}
}

// markFile is where the shell seed writes its mark.
const markFile = `"$MARK"`

func TestGo(t *testing.T) {
	type emit = gofn.Emit
	seeds := map[Case]gofn.Func{
		Echo: func(_ context.Context, in packet.Packet, e emit) error { return e("", in.Data) },
		Filter: func(_ context.Context, in packet.Packet, e emit) error {
			if in.Data == "keep" {
				return e("", in.Data)
			}
			return nil
		},
		Several: func(_ context.Context, in packet.Packet, e emit) error {
			return errors.Join(e("", in.Data+"1"), e("", in.Data+"2"), e("", in.Data+"3"))
		},
		States: func(_ context.Context, in packet.Packet, e emit) error {
			return e(packet.State(strings.ToUpper(in.Data)), in.Data)
		},
		Inherit: func(_ context.Context, in packet.Packet, e emit) error {
			return e("", in.Attributes()["sample"], packet.Attributes{"lane": "7"}, packet.Attributes{"lane": "1"})
		},
		Raise: func(context.Context, packet.Packet, emit) error { panic("no such galaxy") },
		Hang: func(ctx context.Context, in packet.Packet, e emit) error {
			if in.Data == "hang" {
				<-ctx.Done()
			}
			return e("", in.Data)
		},
		Flood: func(_ context.Context, _ packet.Packet, e emit) error {
			for range Floods {
				if err := e("", "x"); err != nil {
					return err
				}
			}
			return nil
		},
		Source: func(_ context.Context, _ packet.Packet, e emit) error {
			return errors.Join(e("", "a"), e("", "b"), e("", "c"))
		},
		Endless: func(_ context.Context, _ packet.Packet, e emit) error {
			for {
				if err := e("", "x"); err != nil {
					return err
				}
			}
		},
	}
	Run(t, Kind{GivesBack: true, Open: func(_ *testing.T, c Case, m seed.Manifest, _ runner.Env) runner.Runner {
		if seeds[c] == nil {
			return nil
		}
		return gofn.Open(m, seeds[c])
	}})
}

func TestPython(t *testing.T) {
	testenv.Need(t, "python3")
	sources := map[Case]string{
		Echo:     "def run(data: bytes):\n    return data\n",
		Filter:   "def run(data):\n    if data == 'keep':\n        return data\n",
		Several:  "def run(data):\n    for i in range(3):\n        yield data + str(i + 1)\n",
		States:   "from pumpkin import State\ndef run(data):\n    return State(data.upper(), data)\n",
		Inherit:  "from pumpkin import State\ndef run(data, pkt):\n    return State('B', pkt.attributes['sample'], lane=1)\n",
		Raise:    "def run(data):\n    raise ValueError('no such galaxy')\n",
		Exit:     "import sys\ndef run(data):\n    sys.exit(3)\n",
		Crash:    "import os, signal\ndef run(data):\n    if data == 'die':\n        os.kill(os.getpid(), signal.SIGKILL)\n    return data\n",
		Hang:     "import time\ndef run(data):\n    while data == 'hang':\n        time.sleep(1)\n    return data\n",
		Tidy:     "import atexit, time\natexit.register(lambda: print('tidied'))\ndef run(data):\n    try:\n        time.sleep(1000)\n    finally:\n        time.sleep(0.1)\n        data = ''\n",
		Print:    "import os\ndef run(data):\n    print('a line')\n    os.system('echo from a child')\n    return data\n",
		Orphan:   orphanPython,
		Flood:    "def run(data):\n    for i in range(10_000_000):\n        yield 'x'\n",
		Source:   "def run():\n    yield from 'abc'\n",
		Endless:  "def run():\n    while True:\n        yield 'x'\n",
		Stubborn: "import signal, time\ndef run():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while True:\n        time.sleep(1)\n    yield 'never'\n",
	}
	Run(t, Kind{GivesBack: true, Alive: alive, Open: func(t *testing.T, c Case, m seed.Manifest, env runner.Env) runner.Runner {
		if sources[c] == "" {
			return nil
		}
		m.File = write(t, "seed.py", sources[c])
		r, err := python.Open(m, env)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}})
}

// The orphans are found again by a mark in their command line.
const orphanPython = `import subprocess
def run(data):
    mark = str(1000000000 + id(data) % 1000000000)
    subprocess.Popen(["sleep", mark], start_new_session=True, stdout=subprocess.DEVNULL)
    return mark
`

const orphanShell = `
mark=$((1000000000 + $$ + $(date +%N | sed 's/^0*//') ))
setsid sleep $mark >/dev/null 2>&1 &
printf %s $mark
`

func TestProcess(t *testing.T) {
	sources := map[Case]string{
		Echo:     "exec cat",
		Filter:   `data=$(cat); if [ "$data" = keep ]; then printf keep; fi`,
		Several:  `data=$(cat); for i in 1 2 3; do printf %s $data$i >$PMK_OUT/00$i.B; done; echo "not data"`,
		States:   `data=$(cat); printf %s $data >$PMK_OUT/1.$(echo $data | tr bc BC)`,
		Inherit:  `printf %s "$PMK_ATTR_SAMPLE"`,
		Raise:    `echo "no such galaxy" >&2; exit 1`,
		Exit:     `exit 3`,
		Crash:    `data=$(cat); [ "$data" != die ] || kill -9 $$; printf %s "$data"`,
		Hang:     `data=$(cat); while [ "$data" = hang ]; do sleep 1; done; printf %s "$data"`,
		Tidy:     `trap 'echo tidied >&2; exit 0' TERM; sleep 1000`,
		Print:    `echo "a line" >&2; exec cat`,
		Orphan:   orphanShell,
		Source:   `for i in a b c; do printf %s $i >$PMK_OUT/$(printf %d "'$i").B; done`,
		Stubborn: `trap '' TERM; while :; do sleep 1; done`,
	}
	Run(t, Kind{GivesBack: true, Alive: alive, Floods: 1, SetsNone: true, Open: func(t *testing.T, c Case, m seed.Manifest, env runner.Env) runner.Runner {
		return openProcess(t, sources[c], m, env)
	}})
}

func openProcess(t *testing.T, source string, m seed.Manifest, env runner.Env) runner.Runner {
	if source == "" {
		return nil
	}
	m.File = write(t, "seed.sh", "#!/bin/sh\n"+source+"\n")
	r, err := process.Open(m, env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLines(t *testing.T) {
	sources := map[Case]string{
		Echo:     "exec sed -u ''",
		Filter:   "exec sed -u '/keep/!s/.*//'",
		Crash:    `while IFS= read -r data; do [ "$data" != die ] || kill -9 $$; printf '%s\n' "$data"; done`,
		Hang:     `while IFS= read -r data; do while [ "$data" = hang ]; do sleep 1; done; printf '%s\n' "$data"; done`,
		Tidy:     `trap 'echo tidied >&2; exit 0' TERM; sleep 1000`,
		Exit:     `read -r data; exit 3`,
		Print:    `while IFS= read -r data; do echo "a line" >&2; printf '%s\n' "$data"; done`,
		Orphan:   "while IFS= read -r data; do " + strings.TrimSpace(orphanShell) + "; echo; done",
		Source:   `echo a; echo; echo b; printf c`, // the last line has no end
		Endless:  `exec yes x`,
		Stubborn: `trap '' TERM; while :; do sleep 1; done`,
	}
	Run(t, Kind{TextOnly: true, Alive: alive, Open: func(t *testing.T, c Case, m seed.Manifest, env runner.Env) runner.Runner {
		m.Mode = seed.Lines
		return openProcess(t, sources[c], m, env)
	}})
}

// ownWorker speaks the worker protocol without any library.
const ownWorker = `#!/usr/bin/env python3
import json, os, struct, sys
fd_in, fd_out = (int(n) for n in os.environ["PMK_WORKER"].split(","))
src, dst = os.fdopen(fd_in, "rb"), os.fdopen(fd_out, "wb")

def take():
    head = src.read(8)
    if len(head) < 8:
        sys.exit(0)
    h, b = struct.unpack(">II", head)
    return json.loads(src.read(h)), src.read(b)

def tell(header, blob=b""):
    text = json.dumps(header).encode()
    dst.write(struct.pack(">II", len(text), len(blob)) + text + blob)
    dst.flush()

take()
tell({"pumpkin": 1, "worker": "own", "meta": True})
while True:
    header, blob = take()
    for n, state, size, *meta in header.get("run", []):
        data, blob = blob[:size], blob[size:]
        tell({"started": n})
        out = SEED
        tell({"emit": [[n, s, len(d), *a] for s, d, *a in out], "done": [[n]]}, b"".join(d for s, d, *a in out))
`

// A program in mode worker needs nothing but the protocol.
func TestWorkerMode(t *testing.T) {
	testenv.Need(t, "python3")
	sources := map[Case]string{
		Echo:     `[("B", data)]`,
		Filter:   `[("", data)] if data == b"keep" else []`,
		Several:  `[("Out:B", data + d) for d in (b"1", b"2", b"3")]`,
		States:   `[(data.decode().upper(), data)]`,
		Inherit:  `[("", meta[3]["sample"].encode(), {"lane": "1"})]`,
		Exit:     `sys.exit(3)`,
		Crash:    `os.kill(os.getpid(), 9) if data == b"die" else [("", data)]`,
		Hang:     `__import__("time").sleep(1000) if data == b"hang" else [("", data)]`,
		Tidy:     `[__import__("signal").signal(15, lambda n, f: sys.exit(print("tidied"))), __import__("time").sleep(1000)]`,
		Print:    `[("", data)] if print("a line", flush=True) is None else []`,
		Source:   `[("", b"a"), ("", b"b"), ("", b"c")]`,
		Endless:  `[tell({"emit": [[n, "", 1]]}, b"x") for _ in iter(int, 1)]`,
		Stubborn: `[__import__("signal").signal(15, 1), __import__("time").sleep(1000)]`,
	}
	Run(t, Kind{Alive: alive, Open: func(t *testing.T, c Case, m seed.Manifest, env runner.Env) runner.Runner {
		if sources[c] == "" {
			return nil
		}
		m.Mode = seed.Worker
		m.File = write(t, "seed", strings.Replace(ownWorker, "SEED", sources[c], 1))
		r, err := process.Open(m, env)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}})
}

// What a worker does against the protocol ends it, and says what it was.
func TestAWorkerThatBreaksTheProtocol(t *testing.T) {
	testenv.Need(t, "python3")
	for name, c := range map[string][2]string{
		"garbage":        {`dst.write(b"garbage!" * 10) or dst.flush() or []`, "broke the worker protocol"},
		"unknown packet": {`tell({"done": [[n + 5]]}) or []`, "broke the worker protocol: packet 5 is done"},
		"not its run":    {`tell({"back": n + 5}) or []`, "broke the worker protocol: it gives run 5 back"},
		"wrong length":   {`tell({"emit": [[n, "", 10]]}, b"x") or []`, "broke the worker protocol: an output of 10 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			m := seed.Manifest{Name: "own", Mode: seed.Worker, Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
			m.File = write(t, "seed", strings.Replace(ownWorker, "SEED", c[0], 1))
			r, err := process.Open(m, runner.Env{})
			if err != nil {
				t.Fatal(err)
			}
			b := &bench{t: t, r: r}
			if _, err := b.run(b.worker(), "x"); err == nil || !strings.Contains(err.Error(), c[1]) {
				t.Errorf("ended with %v, want %q", err, c[1])
			}
		})
	}
}

// shell makes the bench of a shell seed.
func shell(t *testing.T, source string, max int64, change func(*seed.Manifest)) *bench {
	m := seed.Manifest{Name: "seed", File: write(t, "seed.sh", "#!/bin/sh\n"+source+"\n"),
		Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
	return opened(t, process.Open, m, max, change)
}

// pythonSeed is a bench for the Python seed source.
func pythonSeed(t *testing.T, source string, change func(*seed.Manifest)) *bench {
	m := seed.Manifest{Name: "seed", File: write(t, "seed.py", source),
		Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
	return opened(t, python.Open, m, 0, change)
}

func opened(t *testing.T, open func(seed.Manifest, runner.Env) (runner.Runner, error), m seed.Manifest, max int64, change func(*seed.Manifest)) *bench {
	if change != nil {
		change(&m)
	}
	b := &bench{t: t}
	r, err := open(m, runner.Env{MaxData: max, Print: func(line string) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, line)
		return b.unwritten
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.r = r
	return b
}

// The limit is for each output, not for all of a run.
func TestSeveralLargeOutputs(t *testing.T) {
	b := shell(t, "for i in 1 2 3; do head -c 1000000 /dev/zero >$PMK_OUT/$i.B; done", 1<<20, nil)
	sink, err := b.run(b.worker(), "x")
	if err != nil || len(sink.Outs) != 3 || len(sink.Outs[2].Data) != 1000000 {
		t.Errorf("%d outputs, %v, %v", len(sink.Outs), sink.Dones, err)
	}
}

// A run may remove its folders; the next has them again.
func TestFoldersComeBack(t *testing.T) {
	b := shell(t, `test -d "$PMK_WORK" && test -d "$PMK_OUT" && rm -r "$PMK_WORK" "$PMK_OUT"; printf x`, 0, nil)
	b2 := b.worker()
	sink, _ := b.run(b2, "1")
	if len(sink.Dones) != 1 {
		t.Fatalf("%v", sink.Dones)
	}
	if _, err := b.run(b2, "2"); err != nil {
		t.Error(err)
	}
}

// What an extractor prints arrives, all of it.
func TestAnExtractorsLines(t *testing.T) {
	b := shell(t, "seq 5000", 0, func(m *seed.Manifest) { m.Contract.Out = nil })
	w := b.worker()
	sink, err := b.run(w, "x")
	b.want(sink, err, 1)
	w.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) != 5000 {
		t.Errorf("%d of 5,000 lines arrived", len(b.lines))
	}
}

// What an extractor prints and nobody can write is no work that was done: its run fails, and later
// ones do not when it can be written again. Others go on: their lines are for the log.
func TestAnExtractorsLinesThatCannotBeWritten(t *testing.T) {
	printing := map[string]func(out []packet.State) *bench{
		"a program": func(out []packet.State) *bench {
			return shell(t, "echo a line >&2", 0, func(m *seed.Manifest) { m.Contract.Out = out })
		},
		"a program's standard output": func(out []packet.State) *bench {
			return shell(t, "[ -n \"$1\" ] || echo a line", 0, func(m *seed.Manifest) { m.Contract.Out = out })
		},
		"lines": func(out []packet.State) *bench {
			return lines(t, "while read -r line; do echo $line; done", 0, func(m *seed.Manifest) { m.Contract.Out = out })
		},
		"python": func(out []packet.State) *bench {
			testenv.Need(t, "python3")
			return pythonSeed(t, "def run(x):\n    print('a line')\n", func(m *seed.Manifest) { m.Contract.Out = out })
		},
	}
	for kind, open := range printing {
		for _, out := range [][]packet.State{nil, {"Out:B"}} {
			b := open(out)
			w := b.worker()
			for _, full := range []error{errors.New("no space left on device"), nil} {
				b.mu.Lock()
				b.unwritten = full
				b.mu.Unlock()
				sink, err := b.run(w, "x")
				if err != nil || len(sink.Dones) != 1 {
					t.Fatalf("%s: ended with %v, %v", kind, sink.Dones, err)
				}
				var fault *runner.Fault
				failed := errors.As(sink.Dones[0], &fault)
				if failed != (full != nil && out == nil) || failed && (!fault.Later || !strings.HasSuffix(fault.Reason, "no space left on device")) {
					t.Errorf("%s that gives %v, with the error %v: the run ended with %v", kind, out, full, sink.Dones[0])
				}
			}
		}
	}
}

// A run that goes on after its output was refused is ended.
func TestARefusedRunEnds(t *testing.T) {
	testenv.Need(t, "python3")
	m := seed.Manifest{Name: "seed", File: write(t, "seed.py", "def run(x):\n    while True:\n        yield x\n"),
		Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
	r, err := python.Open(m, runner.Env{})
	if err != nil {
		t.Fatal(err)
	}
	w := (&bench{t: t, r: r}).worker()
	err = w.Run(t.Context(), Packets("x"), &Sink{Keep: 1, Refuse: errors.New("no such state")})
	if err == nil || err.Error() != "no such state" {
		t.Errorf("ended with %v", err)
	}
}

// A script that names no interpreter is refused before a packet comes.
func TestAScriptWithoutInterpreter(t *testing.T) {
	m := seed.Manifest{Name: "seed", File: write(t, "seed", "echo hello\n"), Contract: seed.Contract{In: []packet.State{"In:A"}}}
	if _, err := process.Open(m, runner.Env{}); err == nil || !strings.Contains(err.Error(), "#!/bin/sh") {
		t.Errorf("opened with %v", err)
	}
}

// write makes an executable file.
func write(t *testing.T, name, text string) string {
	path := t.TempDir() + "/" + name
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// alive tells whether a process runs "sleep mark".
func alive(mark string) bool {
	pids, _ := os.ReadDir("/proc")
	for _, pid := range pids {
		line, err := os.ReadFile("/proc/" + pid.Name() + "/cmdline")
		if err == nil && strings.HasPrefix(string(line), "sleep\x00"+mark+"\x00") {
			return true
		}
	}
	return false
}

// pmk-data: path hands every kind the data in a file.
func TestDataAsAPath(t *testing.T) {
	testenv.Need(t, "python3")
	contract := seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}
	for name, source := range map[string]string{
		"seed.py": "def run(path):\n    with open(path, 'rb') as f:\n        return f.read()\n",
		"seed.sh": "#!/bin/sh\nexec cat \"$PMK_DATA\"\n",
	} {
		open := process.Open
		if name == "seed.py" {
			open = python.Open
		}
		r, err := open(seed.Manifest{Name: "seed", File: write(t, name, source), Contract: contract, DataPath: true}, runner.Env{})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, r: r}
		data := []string{"a\x00b", strings.Repeat("\xff", 1<<20)}
		sink, err := b.run(b.worker(), data...)
		b.want(sink, err, 2, data...)
	}
}

// A seed that prints without end is stopped at the limit, and the next packet
// runs.
func TestPrintsMoreThanAllowed(t *testing.T) {
	file := write(t, "seed.sh", "#!/bin/sh\ndata=$(cat)\n[ $data = all ] && exec cat /dev/zero\nprintf %s $data\n")
	contract := seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}
	r, err := process.Open(seed.Manifest{Name: "seed", File: file, Contract: contract}, runner.Env{MaxData: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, r: r}
	sink, err := b.run(b.worker(), "all", "some")
	if err != nil || len(sink.Dones) != 2 || sink.Dones[1] != nil || len(sink.Outs) != 1 {
		t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	if sink.Dones[0] == nil || sink.Dones[0].Error() != "printed more than 1048576 bytes" {
		t.Errorf("the failure is %v", sink.Dones[0])
	}
}

// A wrong runner does not pass: the suite can fail.
func TestTheSuiteCanFail(t *testing.T) {
	wrong := &Sink{}
	for _, c := range []struct {
		data []string
		err  error
		want []string
	}{
		{[]string{"a"}, nil, []string{"b"}},
		{nil, nil, []string{"a"}},
		{[]string{"a", "a"}, nil, []string{"a"}},
		{[]string{"a"}, errors.New("no"), []string{"a"}},
	} {
		sink := &Sink{}
		for _, d := range c.data {
			if err := sink.Emit(0, packet.Output{Data: d}); err != nil {
				t.Fatal(err)
			}
		}
		sink.Done(0, c.err)
		if problem := sink.differs(1, c.want); problem == "" {
			t.Errorf("%v with %v passes for %v", c.data, c.err, c.want)
		}
	}
	wrong.Done(1, nil)
	if wrong.differs(1, nil) == "" {
		t.Error("a verdict out of order passes")
	}
}

// The Python of a #! line runs the seed, with what is installed for it, and is named where a module
// is missing.
func TestThePythonOfTheFirstLine(t *testing.T) {
	testenv.Need(t, "python3")
	dir := t.TempDir()
	if out, err := exec.Command("python3", "-m", "venv", "--without-pip", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	own := filepath.Join(dir, "bin", "python")
	for source, want := range map[string]string{
		"import sys\ndef run(data):\n    return sys.prefix\n":  dir,
		"def run(data):\n    import no_such_module_anywhere\n": "This is " + own,
	} {
		m := seed.Manifest{Name: "seed", Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
		m.File = write(t, "seed.py", "#!"+own+"\n"+source)
		r, err := python.Open(m, runner.Env{})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, r: r}
		sink, err := b.run(b.worker(), "x")
		if err != nil || len(sink.Dones) != 1 {
			t.Fatalf("%v, %v", sink.Dones, err)
		}
		var f *runner.Fault
		said := ""
		if errors.As(sink.Dones[0], &f) {
			said = f.Output
		} else if len(sink.Outs) == 1 {
			said = sink.Outs[0].Data
		}
		if !strings.Contains(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	}
}
