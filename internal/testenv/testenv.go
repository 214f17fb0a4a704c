// Package testenv is what this project's tests ask of the machine they run
// on, and how they wait for what happens on it.
package testenv

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// Need returns the path of tool. Where tool is missing, the test is skipped
// at home and fails where the environment variable CI is set, so that what a
// laptop lacks never goes untested for good.
func Need(t testing.TB, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	Lacks(t, tool, err)
	return ""
}

// Lacks ends a test that needs what this machine does not have, as [Need]
// does.
func Lacks(t testing.TB, what string, why error) {
	t.Helper()
	if InCI() {
		t.Fatalf("this test needs %s: %v", what, why)
	}
	t.Skipf("this test needs %s: %v (with CI set, this is a failure)", what, why)
}

// InCI tells whether the environment variable CI is set to anything but
// "false" or "0".
func InCI() bool {
	switch os.Getenv("CI") {
	case "", "false", "0":
		return false
	}
	return true
}

// Eventually waits until cond holds and fails the test, naming what was
// awaited, when it does not within that time. cond is called from the test's
// goroutine.
func Eventually(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	end := time.NewTimer(within)
	defer end.Stop()
	for {
		began := time.Now()
		if cond() {
			return
		}
		select {
		case <-time.After(min(max(time.Since(began), 2*time.Millisecond), 50*time.Millisecond)): // tests run side by side
		case <-end.C:
			if cond() {
				return
			}
			t.Fatalf("after %v, still not: %s", within, what)
		}
	}
}
