package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/testenv"
)

// shares tells whether a test can mount a share. In CI it is taken to.
func shares() bool {
	_, err := os.Stat("/dev/fuse")
	return mounts() && (err == nil || testenv.InCI())
}

// share mounts a folder on another through FUSE, as a network file system would be: of
// what happens in the folder itself the mount tells nothing.
func share(ts *testscript.TestScript, _ bool, args []string) {
	of, at := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(of, 0o755))
	ts.Check(os.MkdirAll(at, 0o755))
	root, err := fs.NewLoopbackRoot(of)
	ts.Check(err)
	_, err = fs.Mount(at, root, &fs.Options{MountOptions: fuse.MountOptions{FsName: "share", Name: "share", DirectMount: true}})
	ts.Check(err)
	ts.Defer(func() { ts.Check(unix.Unmount(at, unix.MNT_DETACH)) })
}

// users tells whether a test can have a user namespace of its own, and limit inotify in
// it. In CI it is taken to.
func users() bool {
	return testenv.InCI() || exec.Command("unshare", "-Ur", "sh", "-c", "echo 0 >/proc/sys/user/max_inotify_instances").Run() == nil
}

// leases tells whether files of the folder can be leased. In CI they are taken to.
func leases(dir string) bool {
	file, err := os.Create(filepath.Join(dir, "lease"))
	if err != nil {
		return false
	}
	defer file.Close() // with the lease
	read, err := os.Open(file.Name())
	if err != nil {
		return false
	}
	defer read.Close()
	_, err = unix.FcntlInt(read.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	return testenv.InCI() || err == unix.EAGAIN // it is open for writing
}
