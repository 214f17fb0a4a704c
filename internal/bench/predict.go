package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// The seeds whose cost is predicted hash what they get: some work for each packet,
// some for each byte.
const (
	hashPython = `# pmk: Text:RAW ->
import hashlib
def run(text):
    data = text.encode()
    for _ in range(10):
        hashlib.sha256(data).hexdigest()
`
	hashShell = `#!/bin/sh
# pmk: Text:RAW ->
sha256sum >"$PMK_WORK/sum"
`
)

func hashGo(_ context.Context, in packet.Packet, _ gofn.Emit) error {
	data := []byte(in.Data)
	for range 10 {
		if sha256.Sum256(data) == ([sha256.Size]byte{}) {
			return errors.New("no hash")
		}
	}
	return nil
}

// predictions measures how exact the prediction of a node is for each kind of
// seed: by the median of its errors for a batch, made before each, and by its
// error for a whole backlog.
func predictions(ctx context.Context, env Env) (out []Result, err error) {
	m := goSeed("work", seed.Contract{In: []packet.State{"Text:RAW"}})
	if out, err = predict(ctx, env, "go", m); err != nil {
		return nil, err
	}
	for _, kind := range []struct{ name, file, text string }{{"python", "work.py", hashPython}, {"process", "work.sh", hashShell}} {
		err = withSeed(env, kind.file, kind.text, func(m seed.Manifest, _ string) error {
			more, err := predict(ctx, env, kind.name, m)
			out = append(out, more...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return out, nil
}

const (
	// A seed has taught packets before its prediction is judged, a few at a time:
	// from each lot of them it learns about as often as it has workers.
	taught, lot = 480, 16
	// Of a backlog there are as many packets as fill the time, within these
	// bounds.
	leastBacklog, mostBacklog = 100, 3000
)

// predict has a seed learn, and compares what is said of a backlog with what
// it takes.
func predict(ctx context.Context, env Env, kind string, m seed.Manifest) (out []Result, err error) {
	blobs := blob.Open(blob.Config{})
	s := pebble.InMemory(pebble.Config{Size: 2 << 30})
	n := node.New(node.Config{
		Name: "bench", Store: s, Blobs: blobs, Durability: node.Memory,
		Kinds: env.with(func(seed.Manifest) gofn.Func { return hashGo }),
	})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	defer func() {
		stop()
		err = errors.Join(err, <-ended, s.Close(), blobs.Close())
	}()
	err = n.Host(ctx, m)[0]
	go func() { ended <- n.Run(running) }()
	if err != nil {
		return nil, err
	}

	sizes := rand.New(rand.NewPCG(1, 2))
	for given := 0; given < taught; {
		given += lot
		if err := putTexts(ctx, n, sizes, lot); err != nil {
			return nil, err
		}
		if err := awaitRuns(ctx, n, uint64(given)); err != nil {
			return nil, err
		}
	}
	line := n.Status(ctx).Seeds[0].Prediction
	count := int(env.span() / max(line.Cost(line.Bytes), 1))
	count = min(max(count, leastBacklog), mostBacklog)
	if err := putTexts(ctx, n, sizes, count); err != nil {
		return nil, err
	}
	began := time.Now()
	st := n.Status(ctx)
	ahead := sum.Ahead([]api.Member{{Status: web.StatusOf(st)}})
	if err := awaitRuns(ctx, n, uint64(taught+count)); err != nil {
		return nil, err
	}
	took := time.Since(began)
	line = n.Status(ctx).Seeds[0].Prediction
	out = []Result{{"predict." + kind + ".packet", "% off", 100 * line.Error}}
	if len(ahead) == 1 { // else it was done at once
		off := math.Abs(ahead[0].Drain.Time.Seconds()/took.Seconds() - 1)
		out = append(out, Result{"predict." + kind + ".backlog", "% off", 100 * off})
	}
	return out, nil
}

// putTexts injects texts of 10 bytes to 1 MB, as many of each order of magnitude.
func putTexts(ctx context.Context, n *node.Node, r *rand.Rand, count int) error {
	text := strings.Repeat("x", 1e6)
	in := n.Intake()
	for range count {
		size := int(10 * math.Pow(10, 5*r.Float64()))
		if err := in.Put(ctx, packet.Packet{State: "Text:RAW", Data: text[:size]}); err != nil {
			return err
		}
	}
	return in.Flush(ctx)
}

// awaitRuns waits until the node's seed has had so many packets and has none now.
func awaitRuns(ctx context.Context, n *node.Node, want uint64) error {
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		s := n.Status(ctx).Seeds[0]
		switch {
		case s.Failed > 0:
			return fmt.Errorf("%d runs have failed", s.Failed)
		case s.In >= want && s.Stored == 0 && s.Running == 0:
			return nil
		}
		if !pause.For(ctx, 2*time.Millisecond) {
			return ctx.Err()
		}
	}
	return errors.New("the seed has not come to an end for a minute")
}
