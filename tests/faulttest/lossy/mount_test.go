//go:build linux

package lossy

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMount does through the kernel what a store does, and loses power.
func TestMount(t *testing.T) {
	m := Start(t, Journalled, 1)
	at := func(name string) string { return filepath.Join(m.Dir(), name) }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(at("js/streams"), 0o750))
	f, err := os.OpenFile(at("js/streams/1.blk"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	check(err)
	defer f.Close()
	check(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	other, err := os.Open(at("js/streams/1.blk"))
	check(err)
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
		t.Errorf("a second lock: %v; expected that there is one", err)
	}
	big := strings.Repeat("0123456789", 100_000)
	_, err = f.WriteString(big)
	check(err)
	check(f.Sync())
	_, err = f.WriteString("not synced")
	check(err)
	synced, err := os.OpenFile(at("js/meta"), os.O_WRONLY|os.O_CREATE|os.O_APPEND|os.O_SYNC, 0o600)
	check(err)
	for range 3 {
		_, err = synced.WriteString("meta ")
		check(err)
	}
	check(synced.Close())
	check(os.Rename(at("js/meta"), at("js/meta.inf")))
	dir, err := os.Open(at("js"))
	check(err)
	check(dir.Sync())
	check(dir.Close())
	check(os.WriteFile(at("gone"), []byte("x"), 0o600))
	check(os.Remove(at("gone")))
	check(syscall.Fallocate(int(f.Fd()), 0, 0, 1_200_000))
	check(os.Chmod(at("js/meta.inf"), 0o640))
	var room syscall.Statfs_t
	check(syscall.Statfs(m.Dir(), &room))
	if room.Bavail == 0 {
		t.Error("statfs says that there is no room")
	}

	m.PowerOff()
	if _, err := f.WriteAt([]byte("late"), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("a write without power: %v; expected EIO", err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a sync without power: %v; expected EIO", err)
	}
	m.PowerOn()
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a sync by a program of before: %v; expected EIO", err)
	}
	data, err := os.ReadFile(at("js/streams/1.blk"))
	check(err)
	if !strings.HasPrefix(string(data), big) {
		t.Errorf("of %d bytes that were synced, %d are left", len(big), len(data))
	}
	data, err = os.ReadFile(at("js/meta.inf"))
	check(err)
	if string(data) != "meta meta meta " {
		t.Errorf("what was written with O_SYNC is %q", data)
	}
	if _, err := os.Stat(at("js/meta")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old name of a file: %v; expected none", err)
	}
	again, err := os.OpenFile(at("js/streams/1.blk"), os.O_RDWR|os.O_APPEND, 0)
	check(err)
	defer again.Close()
	check(syscall.Flock(int(again.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	check(again.Truncate(4))
	_, err = again.WriteString("56")
	check(err)
	_, err = again.Seek(0, io.SeekStart)
	check(err)
	if data, err := io.ReadAll(again); string(data) != "012356" {
		t.Errorf("cut and appended to: %q, %v", data, err)
	}
}

// TestMountIsGone sees a mount end with its test.
func TestMountIsGone(t *testing.T) {
	var dir string
	t.Run("mounted", func(t *testing.T) {
		dir = Start(t, Portable, 1).Dir()
		if !mounted(t, dir) {
			t.Errorf("%s is not mounted", dir)
		}
	})
	if mounted(t, dir) {
		t.Errorf("%s is still mounted", dir)
	}
}

func mounted(t *testing.T, dir string) bool {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(mounts), " "+dir+" ")
}
