package folder

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var ours = Node{Name: "one", Group: "default"}

func open(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Open(t.Context(), dir, ours, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f := open(t, dir)
	if n := f.Node; n.Name != "one" || n.Group != "default" || n.Version != 2 || n.StoreSize <= 0 || time.Since(n.Created) > time.Minute {
		t.Errorf("the first description is %+v", n)
	}
	size := f.Node.StoreSize
	_, err := Open(t.Context(), dir, ours, nil)
	var used *InUseError
	if !errors.As(err, &used) || used.PID != os.Getpid() || used.Dir != dir || !strings.Contains(err.Error(), "--data DIR") {
		t.Errorf("a second open: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = Open(t.Context(), dir, Node{Name: "two", StoreSize: 7}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := f.Node; n.Name != "one" || n.Group != "default" || n.StoreSize != size {
		t.Errorf("what is remembered is %+v", n)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestUnusable(t *testing.T) {
	describe := func(text string) func(string) error {
		return func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "node.json"), []byte(text), 0o600)
		}
	}
	root := os.Geteuid() == 0
	for name, c := range map[string]struct {
		make func(dir string) error
		want error
		skip bool
	}{
		"a newer version":  {make: describe(`{"folder": {"version":3,"of":"tomorrow"}, "sha256": "fab210eedc10d687adcd9de2a9c66eeeaa57f7f284c72616647dcbfa1c9d936b"}`), want: ErrNewer},
		"an older version": {make: describe(`{"folder": {"version":1,"node":"n"}, "sha256": "69626a3c23ae0f940fd99912e58f3fad8e46ed4be3580ee40b3f42823c619986"}`), want: ErrOlder},
		"no JSON":          {make: describe("{"), want: ErrDescription},
		"no version":       {make: describe(`{"folder": {}, "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}`), want: ErrDescription},
		"no checksum":      {make: describe(`{"folder": {"version": 1}}`), want: ErrDescription},
		"another group":    {make: describe(`{"folder": {"version":1,"group":"mab"}, "sha256": "23cc192c7012320fab327fb588a783abe6d8e7cda912115382de3bde48e77947"}`), want: ErrDescription},
		"a file":           {make: func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, want: ErrNotFolder},
		"below a file":     {make: func(dir string) error { return os.WriteFile(filepath.Dir(dir), nil, 0o600) }, want: ErrNotFolder},
		"read-only":        {make: func(dir string) error { return os.Mkdir(dir, 0o500) }, want: ErrReadOnly, skip: root},
		"read-only parent": {make: func(dir string) error { return os.Mkdir(filepath.Dir(dir), 0o500) }, want: ErrReadOnly, skip: root},
		"another user's": {make: func(dir string) error {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chown(dir, 12345, -1)
		}, want: ErrForeign, skip: !root},
	} {
		t.Run(name, func(t *testing.T) {
			if c.skip {
				t.Skip("cannot be made by this user")
			}
			dir := filepath.Join(t.TempDir(), "parent", "data")
			if !strings.Contains(name, "parent") && !strings.Contains(name, "below") {
				if err := os.Mkdir(filepath.Dir(dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			f, err := Open(t.Context(), dir, ours, nil)
			if err == nil {
				f.Close()
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("%v; expected %v, with the folder's name", err, c.want)
			}
			if c.want != ErrDescription && !strings.Contains(err.Error(), "--data DIR") {
				t.Errorf("no next step: %v", err)
			}
			t.Log(err)
		})
	}
}

func TestFind(t *testing.T) {
	data := t.TempDir()
	var passed []string
	find := func(want string) *Folder {
		t.Helper()
		f, err := Find(t.Context(), data, ours, func(why string) { passed = append(passed, why) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if got, _ := filepath.Rel(data, f.Dir); got != filepath.FromSlash(want) {
			t.Fatalf("found %s; expected %s", got, want)
		}
		return f
	}
	one, two, three := find("default/1"), find("default/2"), find("default/3")
	for _, f := range []*Folder{one, two, three} {
		f.Close()
	}
	files := filepath.Join(two.Dir, StoreDir)
	if err := os.Mkdir(files, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"000002.log": "just an end", "MANIFEST-000001": "no packets at all"} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	find("default/1").Close() // an empty log has no packets
	if err := os.WriteFile(filepath.Join(files, "000002.log"), []byte("packets, many of them"), 0o600); err != nil {
		t.Fatal(err)
	}
	find("default/2")
	find("default/1")
	// What is no folder of ours is passed over.
	if err := os.WriteFile(filepath.Join(three.Dir, "node.json"), []byte(`{"folder": {"version":99}, "sha256": "9a2f382f9e837c60ef6c2dcc8efeb1b0e2e37ce828e692deb08fb9b0d798d2d7"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "default", "4"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(data, "default", "05"), 0o700); err != nil {
		t.Fatal(err)
	}
	if len(passed) > 0 {
		t.Errorf("reported: %q", passed)
	}
	// One of the layout before this, too, which is reported: packets may be in it.
	old := filepath.Join(data, "default", "6")
	if err := os.MkdirAll(filepath.Join(old, StoreDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"node.json": `{"folder": {"version":1,"group":"default"}, "sha256": "4541744635ef688744ba7b366089194c7815eaeba2dcb02926b12ca8ee85283c"}`, StoreDir + "/000002.log": "packets, many of them"} {
		if err := os.WriteFile(filepath.Join(old, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	find("default/5")
	if len(passed) != 1 || !strings.Contains(passed[0], "the data folder "+old+" was made by an older pmk (its version is 1, this one's is 2); nothing of it is read: choose another with --data DIR or remove it") {
		t.Errorf("reported: %q", passed)
	}
	if _, err := Find(t.Context(), data, Node{Group: "../x"}, nil); err == nil {
		t.Error("a group that is a way out is taken")
	}
	if dirs, err := List(data, "other"); err != nil || len(dirs) > 0 {
		t.Errorf("folders of a group that has none: %q, %v", dirs, err)
	}
}

// TestLockEndsWithProcess kills a process that has the lock.
func TestLockEndsWithProcess(t *testing.T) {
	if dir := os.Getenv("FOLDER_TEST_HOLD"); dir != "" {
		if _, err := Open(t.Context(), dir, ours, nil); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		time.Sleep(time.Minute)
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockEndsWithProcess$")
	cmd.Env = append(os.Environ(), "FOLDER_TEST_HOLD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	_, err = Open(t.Context(), dir, ours, nil)
	var used *InUseError
	if !errors.As(err, &used) || used.PID != cmd.Process.Pid {
		t.Errorf("a folder that process %d has: %v", cmd.Process.Pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	open(t, dir)
}
