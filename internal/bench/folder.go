package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/recap/pumpkin/internal/inject"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/pause"
)

// manyFiles is how many there are, of less in a measurement of less than 2 s.
const manyFiles = 300_000

// intake has a node take files.
type intake struct{ *node.Node }

func (n intake) Batch() inject.Batch { return n.Node.Intake() }

// ingestFiles is how many small files a second a node with a store on disk takes from a
// watched folder that holds all of them at its start, and the most memory of this process
// in MiB. The packets run through the chain's transform and extract.
func ingestFiles(ctx context.Context, env Env) (results []Result, err error) {
	count := manyFiles
	if env.span() < 2*time.Second {
		count = manyFiles / 200
	}
	dir, err := os.MkdirTemp(".", "pmk-bench-files-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	text := []byte(payloads(1)[0])
	for i := range count {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), text, 0o644); err != nil {
			return nil, err
		}
	}
	c, closeStore, err := fedOnDisk(ctx, env)
	if err != nil {
		return nil, err
	}
	rate, err := takeAll(ctx, dir, count, c)
	if err := errors.Join(err, c.finish(ctx), closeStore()); err != nil {
		return nil, err
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return []Result{{"ingest.files", "files/s", rate}, {"ingest.files.memory", "MiB", float64(mem.Sys) / (1 << 20)}}, nil
}

// takeAll has the node take all files of a folder, and tells how many it took a second.
func takeAll(ctx context.Context, dir string, count int, c *chain) (rate float64, err error) {
	folder, err := inject.New(inject.Config{Dir: dir, State: raw, Quiet: -1, Log: slog.New(slog.DiscardHandler)}, intake{c.node})
	if err != nil {
		return 0, err
	}
	taking, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- folder.Run(taking) }()
	for folder.Counts().Taken < count && pause.For(ctx, 5*time.Millisecond) {
		select {
		case err := <-ended:
			return 0, errors.Join(err, errors.New("the folder has ended"))
		default:
		}
	}
	took := time.Since(began)
	stop()
	c.sent.Add(int64(folder.Counts().Taken))
	return float64(count) / took.Seconds(), errors.Join(<-ended, ctx.Err())
}
