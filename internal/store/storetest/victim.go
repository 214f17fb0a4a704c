package storetest

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// victimEnv names the folder of the store that a process is to be killed over.
const victimEnv = "STORETEST_VICTIM"

// moverEnv has it move tokens.
const moverEnv = "STORETEST_MOVER"

// A victim is what a killed process said.
type victim struct {
	appended, acked map[string]bool
	leased          map[string]time.Time
}

// runVictim runs a process that uses the store and kills it so many lines and
// a while later.
func (b *bench) runVictim(mover bool, lines int, later time.Duration) victim {
	b.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	// The test that called Run is the one around this one.
	parts := strings.Split(b.Name(), "/")
	for i := range parts {
		parts[i] = "^" + regexp.QuoteMeta(parts[i]) + "$"
	}
	cmd := exec.CommandContext(b.Context(), exe, "-test.run="+strings.Join(parts[:len(parts)-1], "/"), "-test.timeout=60s")
	cmd.Env = append(os.Environ(), victimEnv+"="+b.dir)
	if mover {
		cmd.Env = append(cmd.Env, moverEnv+"=1")
	}
	said, tell, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer said.Close()
	var output strings.Builder
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{tell}, &output, &output
	err = cmd.Start()
	tell.Close()
	if err != nil {
		b.Fatal(err)
	}
	v := victim{map[string]bool{}, map[string]bool{}, map[string]time.Time{}}
	heard := 0
	for in := bufio.NewReader(said); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) {
				b.Errorf("pipe: %v", err)
			}
			break
		}
		what, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch what {
		case "append":
			v.appended[name] = true
		case "lease":
			v.leased[name] = time.Now()
		case "ack":
			v.acked[name] = true
		default:
			b.Errorf("the process that was to be killed said %q", line)
		}
		if heard++; heard == lines {
			defer time.AfterFunc(later, func() { cmd.Process.Kill() }).Stop()
		}
	}
	if err := cmd.Wait(); err == nil || heard < lines {
		b.Fatalf("the process that was to be killed ended after %d lines: %v\n%s", heard, err, output.String())
	}
	return v
}
