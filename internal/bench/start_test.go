package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStartOfAnother: a program that is no pmk ends the measurement, with what it
// wrote.
func TestStartOfAnother(t *testing.T) {
	t.Chdir(t.TempDir())
	script := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no such flag >&2\nexit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := startOnce(t.Context(), script)
	if err == nil || !strings.Contains(err.Error(), "no such flag") || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("the error is %v", err)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
