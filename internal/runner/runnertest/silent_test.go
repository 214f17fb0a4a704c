package runnertest

import (
	"context"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/process"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A program that does not answer, as one that keeps its answers in a buffer, is told of.
func TestAProgramThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	said := make(chan string, 1)
	m := seed.Manifest{Name: "buffered", Mode: seed.Lines, Contract: seed.Contract{In: []packet.State{"In:A"}, Out: []packet.State{"Out:B"}}}
	m.File = write(t, "seed", "#!/bin/sh\nwhile read -r line; do :; done\n")
	r, err := process.Open(m, runner.Env{Warn: func(line string) { said <- line }})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, r: r}
	w := b.worker()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	batch := Packets("x")
	go func() { ended <- w.Run(ctx, batch, &Sink{}) }()
	line := ""
	select {
	case line = <-said:
	case err := <-ended:
		t.Fatalf("ended with %v", err)
	}
	silent := r.(runner.Teller).Loaded().Silent
	if text := silent(); text != "has not answered packet "+batch[0].ID.String()+" for more than 10s" {
		t.Errorf("meanwhile it %q", text)
	}
	cancel()
	<-ended // with ctx's error
	if text := silent(); text != "" {
		t.Errorf("when it has ended it %q", text)
	}
	if !strings.Contains(line, "seed buffered") || !strings.Contains(line, batch[0].ID.String()) || !strings.Contains(line, "buffer") {
		t.Errorf("said %q", line)
	}
}
