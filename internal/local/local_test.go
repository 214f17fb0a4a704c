package local

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// home gives the test a runtime folder of its own.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

// open listens and answers every connection with the node's name.
func open(t *testing.T, group, node string) net.Listener {
	t.Helper()
	l, err := Listen(group, node)
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.Go(func() error {
		for {
			conn, err := l.Accept()
			if err != nil {
				return nil // closed
			}
			conn.Write([]byte(node)) // who only looks has gone by now
			conn.Close()
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		g.Wait()
	})
	return l
}

func TestListenAndFind(t *testing.T) {
	home(t)
	ctx := t.Context()
	if _, err := Find(ctx, "default", ""); !errors.Is(err, ErrNone) {
		t.Fatalf("before any node: %v; expected ErrNone", err)
	}
	open(t, "default", "b")
	a := open(t, "default", "a")
	open(t, "other", "c")

	peers, err := Find(ctx, "default", "")
	if err != nil || len(peers) != 2 || peers[0].Node != "a" || peers[1].Node != "b" {
		t.Fatalf("found %v, %v; expected a and b", peers, err)
	}
	conn, err := peers[1].Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 8)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "b" {
		t.Errorf("b answered %q, %v", buf[:n], err)
	}

	if peers, err := Find(ctx, "default", "a"); err != nil || len(peers) != 1 || peers[0].Node != "a" {
		t.Errorf("found %v, %v; expected a alone", peers, err)
	}
	_, err = Find(ctx, "default", "c")
	if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "running: a, b") {
		t.Errorf("%v; expected ErrNone that names a and b", err)
	}

	if info, err := os.Lstat(a.Addr().String()); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("the socket is %v, %v; expected mode 0600", info, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if _, err := os.Lstat(a.Addr().String()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close the socket is still there: %v", err)
	}
	if _, err := peers[0].Dial(ctx); !errors.Is(err, ErrNone) {
		t.Errorf("dial a node that ended: %v; expected ErrNone", err)
	}
}

func TestSecondNodeOfTheName(t *testing.T) {
	home(t)
	open(t, "default", "a")
	if l, err := Listen("default", "a"); err == nil || !strings.Contains(err.Error(), "runs on this machine already") {
		t.Fatalf("%v, %v; expected a refusal", l, err)
	}
	if peers, err := Find(t.Context(), "default", "a"); err != nil || len(peers) != 1 {
		t.Errorf("after the refusal the first is found as %v, %v", peers, err)
	}
}

// die leaves a socket behind, as a node that was killed does.
func die(t *testing.T, path string) {
	t.Helper()
	err := shorten(path, func(short string) error {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		return l.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	home(t)
	dir, err := Dir("default", Meet)
	if err != nil {
		t.Fatal(err)
	}
	dead, starting, unborn := filepath.Join(dir, "dead.sock"), filepath.Join(dir, ".starting"), filepath.Join(dir, ".unborn")
	for _, path := range []string{dead, starting, unborn} {
		die(t, path)
	}
	if err := os.Chtimes(unborn, time.Time{}, time.Now().Add(-2*staleBirth)); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if peers, err := Find(t.Context(), "default", ""); !errors.Is(err, ErrNone) {
		t.Errorf("found %v, %v among the dead", peers, err)
	}
	open(t, "default", "a")
	for path, there := range map[string]bool{dead: false, unborn: false, starting: true, other: true} {
		if _, err := os.Lstat(path); (err == nil) != there {
			t.Errorf("%s is there: %v; expected %v", filepath.Base(path), err == nil, there)
		}
	}
	// A node that starts over its own dead socket.
	die(t, dead)
	open(t, "default", "dead")
}

func TestCloseLeavesAnothersSocket(t *testing.T) {
	home(t)
	a := open(t, "default", "a")
	path := a.Addr().String()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	open(t, "default", "a")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("closing the first node took the second one's socket: %v", err)
	}
}

func TestLongPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 200))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	if err := shorten(filepath.Join(dir, "x"), func(string) error { return nil }); err != nil {
		if !strings.Contains(err.Error(), "at most") {
			t.Fatal(err)
		}
		return // this system has no way around: the error is the promise
	}
	open(t, "default", "slimme-783d9470")
	peers, err := Find(t.Context(), "default", "")
	if err != nil || len(peers) != 1 {
		t.Errorf("found %v, %v; expected the node", peers, err)
	}
	long := strings.Repeat("n", 96)
	if _, err := Listen("default", long); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a node's name of 96 bytes in a deep folder: %v; expected an error that names the limit", err)
	}
	left, err := os.ReadDir(filepath.Dir(peers[0].Path))
	if err != nil || len(left) != 1 {
		t.Errorf("the refusal left %v, %v", left, err)
	}
}

func TestRefusedFolders(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(dir string) error
	}{
		{"others may write", "mode 0777", func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) }},
		{"others may read", "mode 0750", func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o750)) }},
		{"a link", "symbolic link", func(dir string) error { return os.Symlink(os.TempDir(), dir) }},
		{"a file", "not a folder", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.spoil(filepath.Join(home(t), "pumpkin")); err != nil {
				t.Fatal(err)
			}
			if l, err := Listen("default", "a"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Listen: %v, %v; expected an error with %q", l, err, c.want)
			}
			if p, err := Find(t.Context(), "default", ""); err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Find: %v, %v; expected an error with %q", p, err, c.want)
			}
		})
	}
}

func TestAnothersFolder(t *testing.T) {
	// The root folder belongs to root: for everybody else it is another's.
	dir, err := "/", error(nil)
	if os.Getuid() == 0 {
		dir = t.TempDir()
		err = os.Chown(dir, 65534, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := checkPrivate(dir); err == nil || !strings.Contains(err.Error(), "belongs to the user") {
		t.Errorf("%v; expected a refusal that names the owner", err)
	}
}

func TestBase(t *testing.T) {
	own, uid := t.TempDir(), os.Getuid()
	for _, c := range []struct {
		name, runtime string
		uid           int
		want          string
	}{
		{"set", own, uid, own + "/pumpkin"},
		{"not set", "", uid, "/t/pumpkin-"},
		{"relative", ".", uid, "/t/pumpkin-"},
		{"missing", own + "/none", uid, "/t/pumpkin-"},
		{"another user's", own, uid + 1, "/t/pumpkin-"},
	} {
		if got := base(c.runtime, "/t", c.uid); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s; expected %s", c.name, got, c.want)
		}
	}
}

func TestWrongNames(t *testing.T) {
	home(t)
	for _, c := range [][2]string{{"", "a"}, {"..", "a"}, {"a/b", "a"}, {"g", ""}, {"g", "../x"}, {"g", ".hidden"}} {
		if l, err := Listen(c[0], c[1]); err == nil {
			l.Close()
			t.Errorf("Listen(%q, %q) was not refused", c[0], c[1])
		}
	}
	if _, err := Find(t.Context(), "../..", ""); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("a group outside the folder: %v", err)
	}
}

func TestFindEnds(t *testing.T) {
	home(t)
	open(t, "default", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Find(ctx, "default", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v; expected the context's error", err)
	}
}

func TestDir(t *testing.T) {
	root := home(t)
	dir, err := Dir(".python", "1")
	if err != nil || dir != filepath.Join(root, "pumpkin", ".python", "1") {
		t.Fatalf("%s, %v", dir, err)
	}
	for d := dir; d != root; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v; expected mode 0700", d, info.Mode(), err)
		}
	}
}

func TestMeetElsewhere(t *testing.T) {
	home(t)
	open(t, "default", "a")
	l, err := ListenIn("default", "0123456789abcdef", "b")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for meet, want := range map[string]string{Meet: "a", "0123456789abcdef": "b"} {
		dir, err := Folder("default", meet)
		if err != nil {
			t.Fatal(err)
		}
		if peers, err := Sockets(dir); err != nil || len(peers) != 1 || peers[0].Node != want {
			t.Errorf("in %s: %v, %v; expected %s alone", meet, peers, err, want)
		}
	}
	if peers, err := FindIn(t.Context(), "default", "0123456789abcdef", ""); err != nil || len(peers) != 1 || peers[0].Node != "b" {
		t.Errorf("found %v, %v; expected b", peers, err)
	}
	for _, wrong := range []string{"", "..", "a/b", ".x", "/tmp"} {
		if l, err := ListenIn("default", wrong, "a"); err == nil {
			l.Close()
			t.Errorf("ListenIn %q was not refused", wrong)
		}
		if _, err := FindIn(t.Context(), "default", wrong, ""); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("FindIn %q: %v", wrong, err)
		}
		if _, err := Folder("default", wrong); err == nil {
			t.Errorf("Folder %q was not refused", wrong)
		}
	}
}
