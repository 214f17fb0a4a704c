package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// askEnv has this test's binary mount something on the folder it names, set
// apart, and exit with apartStatus.
const (
	askEnv      = "PMK_TEST_APART_MOUNT"
	apartStatus = 3
)

func TestMain(m *testing.M) {
	dir := os.Getenv(askEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	Apart()
	fmt.Println(os.Getpid(), syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
	os.Exit(apartStatus)
}

func TestApart(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), askEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != apartStatus {
		t.Fatalf("it ended with %v; expected its own status, %d", err, apartStatus)
	}
	if string(out) != "1 <nil>\n" {
		Lacks(t, "name spaces", fmt.Errorf("process and mount say %q", out))
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), " "+dir+" ") {
		t.Errorf("%s is mounted outside too", dir)
	}
}
