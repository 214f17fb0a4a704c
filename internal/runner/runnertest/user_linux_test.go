package runnertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/seed"
)

// The ordinary user as whom tests run again: somebody whom the system does not know.
const (
	ordinaryUID   = 54321
	ordinaryGID   = 54321
	ordinaryGroup = 54322 // one that the user is in as well
)

const (
	// setuidEnv names a folder of programs that root has lent its rights to: id, and setpriv.
	setuidEnv = "RUNNERTEST_SETUID"
	// groupsEnv says that workers are to have control groups.
	groupsEnv = "RUNNERTEST_GROUPS"
)

// As an ordinary user a node promises of its steps what it does as root: the tests in which it
// matters who runs them are run again, side by side.
func TestAsAnOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("these tests run as an ordinary user already")
	}
	dir := ordinaryFolder(t)
	t.Parallel() // only now: a program that is being written, in a process that forks, is busy for a moment
	ends := []string{
		"TestNothingOutlivesAKilledNode", "TestNothingOutlivesAKilledSupervisor", "TestARunsOrphansEndWithIt",
		"TestOrphansAreReaped", "TestADescendantThatCannotBeEnded", "TestARunThatEndsItsProcessGroup",
	}
	t.Run("ends", func(t *testing.T) { asOrdinaryUser(t, dir, "", ends...) })
	t.Run("ends with control groups", func(t *testing.T) { asOrdinaryUser(t, dir, ordinaryControlGroup(t), ends...) })
	t.Run("steps", func(t *testing.T) {
		asOrdinaryUser(t, dir, "", "TestStepsAreAsInTheShell", "TestAStepMayBeSomebodyElse", "TestNoCoreFiles",
			"TestARunGoesBeforeItsNode", "TestARunThatIgnoresItsEndIsKilled", "TestARunThatIsCutOff", "TestARunThatEndsWithTheService")
	})
	t.Run("kinds", func(t *testing.T) {
		asOrdinaryUser(t, dir, "", "TestPython", "TestProcess", "TestLines", "TestWorkerMode")
	})
}

// ordinaryParts are the parts of those tests that are run again.
const ordinaryParts = "^(exit|crash|tidy|orphan|stubborn|(seed|loud)[.].*)$"

// asOrdinaryUser runs tests of this package as the ordinary user, in that control group if there is
// one, beside others. Each is reported as a part of this test.
func asOrdinaryUser(t *testing.T, dir, group string, tests ...string) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*long)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "test"), "-test.v", "-test.run", "^("+strings.Join(tests, "|")+")$/"+ordinaryParts)
	cmd.Dir = dir
	cmd.Env = []string{
		"HOME=" + dir, "TMPDIR=" + dir, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"CI=" + os.Getenv("CI"), "GORACE=" + os.Getenv("GORACE"), setuidEnv + "=" + filepath.Join(dir, "setuid"),
	}
	cmd.SysProcAttr = ordinaryUser()
	if group != "" {
		fd, err := os.Open(group)
		if err != nil {
			t.Fatal(err)
		}
		defer fd.Close() // only opened
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(fd.Fd())
		cmd.Env = append(cmd.Env, groupsEnv+"=1")
	}
	out, err := cmd.CombinedOutput()
	for _, test := range tests {
		t.Run(test, func(t *testing.T) {
			said := regexp.MustCompile(`(?m)^--- (\w+): ` + test + ` `).FindSubmatch(out)
			switch {
			case said == nil:
				t.Error("it did not end")
			case string(said[1]) == "SKIP":
				t.Skip("it skipped itself")
			case string(said[1]) != "PASS":
				t.Error("it failed")
			}
		})
	}
	if err != nil || t.Failed() {
		t.Errorf("%v\n%s", err, out)
	} else if bytes.Contains(out, []byte("--- SKIP: ")) {
		t.Logf("%s", out) // with the reasons
	}
}

// ordinaryFolder is a folder of the ordinary user, closed to all others, with this test and the
// setuid programs in it.
func ordinaryFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pmk-ordinary-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // what it leaves there is in a folder that it cannot remove
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "setuid"), 0o755); err != nil {
		t.Fatal(err)
	}
	install(t, self, filepath.Join(dir, "test"), 0o755)
	for _, tool := range []string{"id", "setpriv"} {
		install(t, testenv.Need(t, tool), filepath.Join(dir, "setuid", tool), 0o755|os.ModeSetuid)
	}
	if err := os.Chown(dir, ordinaryUID, ordinaryGID); err != nil {
		t.Fatal(err)
	}
	id := exec.Command(filepath.Join(dir, "setuid", "id"), "-u")
	id.SysProcAttr = ordinaryUser()
	if out, err := id.CombinedOutput(); string(out) != "0\n" {
		testenv.Lacks(t, "setuid programs in "+os.TempDir(), fmt.Errorf("one is of the user %q (%v)", out, err))
	}
	return dir
}

// ordinaryUser has a process be the ordinary user's.
func ordinaryUser() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUID, Gid: ordinaryGID, Groups: []uint32{ordinaryGroup}}}
}

// install copies a program.
func install(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close() // only read
	dst, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(dst, src)
	if closed := dst.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(to, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ordinaryControlGroup is a control group that belongs to the ordinary user.
func ordinaryControlGroup(t *testing.T) string {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		dir, err := os.MkdirTemp(root, "ordinary-")
		if err != nil {
			t.Skip("needs to make a control group: ", err)
		}
		t.Cleanup(func() { // a test that failed may have left something there
			if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err != nil {
				t.Error(err)
			}
			testenv.Eventually(t, long, "the control group is empty", func() bool { return unix.Rmdir(dir) == nil })
		})
		if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
			t.Skip("needs control groups that can be killed, as of Linux 5.14: ", err)
		}
		for _, file := range []string{"", "cgroup.procs"} {
			if err := os.Chown(filepath.Join(dir, file), ordinaryUID, ordinaryGID); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	t.Skip("needs control groups of version 2")
	return ""
}

// A step is the node's user, with all that this user may do; its process number is that of /proc,
// where it sees its parent; and its mounts are the node's, except as root, who may make some.
func TestStepsAreAsInTheShell(t *testing.T) {
	testenv.Need(t, "ps")
	user := fmt.Sprintf("%d %d %d", os.Getuid(), os.Geteuid(), os.Getgid())
	b := shell(t, `
echo $(id -ru) $(id -u) $(id -g)
read -r pid rest </proc/self/stat; [ $pid = $$ ] && echo its number
ps -o comm= -p $$
kill -0 $PPID && echo its parent
[ "$(readlink /proc/self/ns/pid)" = `+namespace(t, "pid")+` ] && echo all numbers
[ "$(readlink /proc/self/ns/user)" = `+namespace(t, "user")+` ] && echo all users
[ $(id -u) = 0 ] || [ "$(readlink /proc/self/ns/mnt)" = `+namespace(t, "mnt")+` ] && echo all mounts
grep -q '`+privileges(t)+`' /proc/self/status && echo all privileges`, 0, nil)
	sink, err := b.run(b.worker(), "x")
	b.want(sink, err, 1, user+`
its number
seed.sh
its parent
all numbers
all users
all mounts
all privileges
`)
}

// namespace names the namespace of this kind that this process is in.
func namespace(t *testing.T, kind string) string {
	t.Helper()
	name, err := os.Readlink("/proc/self/ns/" + kind)
	if err != nil {
		t.Fatal(err)
	}
	return "'" + name + "'"
}

// privileges is the line that says whether this process may get new ones.
func privileges(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "NoNewPrivs:") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatal("it says nothing of new privileges")
	return ""
}

// A run that ends all of its process group does not end its supervisor with it.
func TestARunThatEndsItsProcessGroup(t *testing.T) {
	b := shell(t, "read -r line; [ $line != die ] || kill -KILL 0; echo fine", 0, nil)
	w := b.worker()
	sink, err := b.run(w, "die\n")
	if err != nil || len(sink.Dones) != 1 || sink.Dones[0] == nil {
		t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	sink, err = b.run(w, "live\n")
	b.want(sink, err, 1, "fine\n")
}

// A program that root has lent its rights to has them in a step, and a file can be given to a group
// that the user is in.
func TestAStepMayBeSomebodyElse(t *testing.T) {
	dir := os.Getenv(setuidEnv)
	if dir == "" {
		t.Skip("is for TestAsAnOrdinaryUser, which needs root")
	}
	b := shell(t, fmt.Sprintf(`%s/id -ru; %[1]s/id -u; touch f$$ && chgrp %d f$$ && stat -c %%g f$$; rm -f f$$`, dir, ordinaryGroup), 0, nil)
	sink, err := b.run(b.worker(), "x")
	want := fmt.Sprint(ordinaryUID, " 0 ", ordinaryGroup)
	if err != nil || len(sink.Outs) != 1 || strings.Join(strings.Fields(sink.Outs[0].Data), " ") != want {
		t.Errorf("gave %v, %v, %v, want %q", sink.Outs, sink.Dones, err, want)
	}
}

// What sudo has started cannot be ended by its user, unless there is a control group. Then the run
// ends all the same, as does every later one, and a line says what stays.
func TestADescendantThatCannotBeEnded(t *testing.T) {
	dir := os.Getenv(setuidEnv)
	if dir == "" {
		t.Skip("is for TestAsAnOrdinaryUser, which needs root")
	}
	mark := strconv.Itoa(1_500_000_000 + os.Getpid())
	leave := dir + "/setpriv --ruid 0 setsid sleep " + mark + " & until grep -q sleep /proc/$!/comm; do :; done; echo stays"
	kill := func() {
		exec.Command(dir+"/setpriv", "--ruid", "0", "pkill", "-KILL", "-f", "^sleep "+mark+"$").Run() // it may have ended
	}
	t.Cleanup(kill)
	end := func() {
		kill()
		testenv.Eventually(t, long, "it is gone", func() bool { return !alive(mark) })
	}
	for _, mode := range []seed.Mode{seed.PerPacket, seed.Lines} {
		stay := leave
		if mode == seed.Lines {
			stay = "while read -r line; do " + stay + "; done"
		} else {
			stay = "read -r line; [ $line = x ] || exit 0; " + stay
		}
		var path string
		b := shell(t, stay, 0, func(m *seed.Manifest) { m.Mode, path = mode, m.File })
		w := b.worker()
		grouped := grouped(t, path)
		sink, err := b.run(w, "x")
		b.want(sink, err, 1, map[seed.Mode]string{seed.PerPacket: "stays\n", seed.Lines: "stays"}[mode])
		if mode == seed.PerPacket {
			sink, err = b.run(w, "y")
			b.want(sink, err, 1)
		}
		w.Close()
		if grouped == alive(mark) {
			t.Errorf("in mode %q, with a control group %v: it lives %v", mode, grouped, alive(mark))
		}
		said := 0
		b.mu.Lock()
		for _, line := range b.lines {
			if strings.Contains(line, "cannot be ended") && strings.Contains(line, "of another user") {
				said++
			}
		}
		b.mu.Unlock()
		if (said == 1) == grouped || said > 1 {
			t.Errorf("in mode %q it said %q", mode, b.lines)
		}
		end()
	}
	sink := &Sink{}
	if err := lineSource(t.Context(), t, leave, nil, sink); err != nil || sink.Count != 1 || len(sink.Dones) != 1 || sink.Dones[0] != nil {
		t.Errorf("a source gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	end()
}

// supervisors are those of the program at path.
func supervisors(path string) []int {
	return slices.DeleteFunc(processes(path), func(pid int) bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err != nil || !bytes.HasPrefix(line, []byte("pmk-supervisor\x00"))
	})
}

// grouped tells whether the worker of the program at path has a control group.
func grouped(t *testing.T, path string) bool {
	t.Helper()
	pids := supervisors(path)
	if len(pids) == 0 {
		t.Fatal("there is no supervisor")
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pids[0]))
	if err != nil {
		t.Fatal(err)
	}
	has := bytes.Contains(groups, []byte("/pmk-"))
	if os.Getenv(groupsEnv) != "" && !has {
		t.Errorf("it has no control group: %s", groups)
	}
	return has
}

// Where somebody kills a supervisor, its program ends with it, and, with a control group, all that
// has hidden in a session of its own.
func TestNothingOutlivesAKilledSupervisor(t *testing.T) {
	var path string
	b := shell(t, "while read -r line; do "+strings.TrimSpace(orphanShell)+"; echo; done", 0, func(m *seed.Manifest) { m.Mode, path = seed.Lines, m.File })
	w := b.worker()
	sink, err := b.run(w, "x")
	if err != nil || len(sink.Outs) != 1 {
		t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	mark := sink.Outs[0].Data
	testenv.Eventually(t, long, "the orphan runs", func() bool { return alive(mark) })
	grouped := grouped(t, path)
	for _, pid := range supervisors(path) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	testenv.Eventually(t, long, "its program is gone", func() bool { return len(processes(path)) == 0 })
	if grouped {
		testenv.Eventually(t, long, "the orphan is gone", func() bool { return !alive(mark) })
		return
	}
	for _, pid := range processes(mark) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}
