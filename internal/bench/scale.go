package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/recap/pumpkin/internal/store/folder"
)

// Scale measures what a node costs as its work grows: the number of its seeds
// and of the packets that lie in its store. Every figure is of a node in a
// process of its own.
type Scale struct {
	// Command makes the command of a process that calls [ServeScale].
	Command func() *exec.Cmd
	// Dir is the folder in which the nodes' folders are made; "" is the
	// working folder.
	Dir string
	// Backlog is the largest number of packets that lie in an inbox; 0 means
	// 10,000,000.
	Backlog int64
	// Packets is how many packets the chains of a figure pass on in total; 0
	// means 400,000.
	Packets int64
	// Seeds are the numbers of chains; nil means 1, 10, 100 and 1,000.
	Seeds []int
	// For is how long the throughput with a backlog is measured; 0 means 5 s.
	For time.Duration
	// Only names the parts that are measured: "seeds", "backlog". None means
	// both.
	Only []string
	// Progress, unless nil, is told what is under way.
	Progress func(string)
	// Note, unless nil, is told what could not be measured and why.
	Note func(string)
}

const (
	// packetOnDisk is what a packet takes in the store, with room to spare.
	packetOnDisk = 320
	// spareDisk is what is to be left free beyond that.
	spareDisk = 1 << 30
	// fillLimit bounds every wait for packets to be made or worked off.
	fillLimit = 10 * time.Minute
)

func (s Scale) withDefaults() Scale {
	if s.Dir == "" {
		s.Dir = "."
	}
	if s.Backlog == 0 {
		s.Backlog = 10_000_000
	}
	if s.Packets == 0 {
		s.Packets = 400_000
	}
	if s.Seeds == nil {
		s.Seeds = []int{1, 10, 100, 1000}
	}
	if s.For == 0 {
		s.For = 5 * time.Second
	}
	if s.Progress == nil {
		s.Progress = func(string) {}
	}
	if s.Note == nil {
		s.Note = func(string) {}
	}
	return s
}

// Parts are what [Scale.Only] may name.
var Parts = []string{"seeds", "backlog"}

func (s Scale) wants(part string) bool { return len(s.Only) == 0 || slices.Contains(s.Only, part) }

// Needs is how many bytes of disk the measurement takes at its peak.
func (s Scale) Needs() int64 {
	s = s.withDefaults()
	most := s.Packets // should none of them be worked off at once
	if s.wants("backlog") {
		most = max(most, s.Backlog)
	}
	return most * packetOnDisk
}

// CheckDisk refuses a disk that has not enough room.
func (s Scale) CheckDisk() error {
	s = s.withDefaults()
	free, _, err := folder.Free(s.Dir)
	if err != nil {
		return err
	}
	if need := s.Needs() + spareDisk; free < need {
		return fmt.Errorf("%s has %d MiB free; the benchmark needs %d: run it in a folder on another disk, or with a smaller --backlog", s.Dir, free>>20, need>>20)
	}
	return nil
}

// Run measures everything. The folder it works in is removed in any case.
func (s Scale) Run(ctx context.Context) (results []Result, err error) {
	s = s.withDefaults()
	if err := s.CheckDisk(); err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp(s.Dir, "pmk-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	s.Dir = root
	sync50, err := fsyncP50(ctx, root)
	if err != nil {
		return nil, err
	}
	results = append(results, Result{"scale.fsync.p50", "µs", sync50})
	for _, chains := range s.Seeds {
		if !s.wants("seeds") {
			break
		}
		got, err := s.chains(ctx, chains)
		if err != nil {
			return nil, fmt.Errorf("%d chains: %w", chains, err)
		}
		results = append(results, got...)
	}
	if !s.wants("backlog") {
		return results, nil
	}
	for _, backlog := range []int64{0, s.Backlog / 100} {
		s.Progress(fmt.Sprintf("packets/s with a backlog of %d", backlog))
		got, err := s.small(ctx, backlog)
		if err != nil {
			return nil, fmt.Errorf("a backlog of %d: %w", backlog, err)
		}
		results = append(results, got...)
	}
	got, err := s.large(ctx)
	if err != nil {
		return nil, fmt.Errorf("a backlog of %d: %w", s.Backlog, err)
	}
	return append(results, got...), nil
}

// short is 1e5 for 100000.
func short(n int64) string {
	if exp := math.Log10(float64(n)); n > 1 && exp == math.Trunc(exp) {
		return fmt.Sprintf("1e%d", int(exp))
	}
	return fmt.Sprint(n)
}

// node starts a node on a folder, runs measure with it, and ends it. It returns
// by how many packets the node's backlog grew.
func (s Scale) node(ctx context.Context, task ScaleNode, measure func(*scaleProcess) error) (grew int64, err error) {
	p, err := startScale(ctx, s.Command(), task)
	if err != nil {
		return 0, err
	}
	err = measure(p)
	err = errors.Join(err, p.end())
	last := p.report()
	return last.Sent - last.Got, err
}

// chains is the throughput of so many independent chains.
func (s Scale) chains(ctx context.Context, chains int) (results []Result, err error) {
	s.Progress(fmt.Sprintf("packets/s of %d chains", chains))
	dir := filepath.Join(s.Dir, fmt.Sprintf("chains-%d", chains))
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	task := ScaleNode{Dir: dir, Chains: chains, Senders: 1, Each: eachAtATime}
	_, err = s.node(ctx, task, func(p *scaleProcess) error {
		// Inboxes are made with their first packet; that is not what is
		// measured here.
		if err := p.await(ctx, fillLimit, func(r scaleReport) bool { return r.Live == int64(chains) }); err != nil {
			return err
		}
		began, before := time.Now(), p.report().Got
		if err := p.await(ctx, fillLimit, func(r scaleReport) bool { return r.Got >= before+s.Packets }); err != nil {
			return err
		}
		rate := float64(p.report().Got-before) / time.Since(began).Seconds()
		results = append(results, Result{fmt.Sprintf("scale.seeds.%d", chains), "packets/s", rate})
		if mib := p.peak(); mib > 0 {
			results = append(results, Result{fmt.Sprintf("scale.memory.seeds.%d", chains), "MiB", mib})
		}
		return nil
	})
	return results, err
}

// eachAtATime is how many packets of each of several chains are on their way
// into the store at a time. It is the same for any number of chains: with a given
// number in all, a hundred chains would be measured at a hundredth of the load each.
// One sender gives them, since a goroutine for each of 64,000 packets would be most
// of the memory that is measured.
const eachAtATime = 64

// one is a single chain on a folder, under the load of chain.disk.
func one(dir string) ScaleNode {
	return ScaleNode{Dir: dir, Chains: 1, Senders: senders, Each: atATime}
}

// fill leaves a backlog in a folder and gives the most memory that this took.
func (s Scale) fill(ctx context.Context, dir string, backlog int64) (left int64, peak float64, err error) {
	task := one(dir)
	// The node finishes what it has taken out of the store: what it pulled, at
	// most some thousand packets, and the frames that were handed on meanwhile.
	task.Fill, task.Hold = backlog+learn+32*1024, true
	left, err = s.node(ctx, task, func(p *scaleProcess) error {
		err := p.await(ctx, fillLimit, func(r scaleReport) bool {
			s.Progress(fmt.Sprintf("making a backlog: %d of %d packets", r.Sent, backlog))
			return r.Sent >= task.Fill
		})
		peak = p.peak()
		return err
	})
	return left, peak, err
}

// small is the throughput with a backlog that is not the largest.
func (s Scale) small(ctx context.Context, backlog int64) (results []Result, err error) {
	dir := filepath.Join(s.Dir, "backlog")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if backlog > 0 {
		if _, _, err := s.fill(ctx, dir, backlog); err != nil {
			return nil, err
		}
	}
	_, err = s.node(ctx, one(dir), func(p *scaleProcess) error {
		results, err = s.flooded(ctx, p, backlog)
		return err
	})
	return results, err
}

// flooded is the throughput of a node with a backlog whose injector goes on,
// from its first result on.
func (s Scale) flooded(ctx context.Context, p *scaleProcess, backlog int64) ([]Result, error) {
	if err := p.await(ctx, time.Minute, func(r scaleReport) bool { return r.Got > 0 }); err != nil {
		return nil, err
	}
	in, out, err := p.rates(ctx, s.For)
	name := "scale.backlog." + short(backlog)
	return []Result{{name, "packets/s", out}, {name + ".in", "packets/s", in}}, err
}

// large makes the largest backlog, starts with it and works it off.
func (s Scale) large(ctx context.Context) (results []Result, err error) {
	dir := filepath.Join(s.Dir, "large")
	left, peak, err := s.fill(ctx, dir, s.Backlog)
	if err != nil {
		return nil, err
	}
	if left < s.Backlog {
		return nil, fmt.Errorf("%d packets lie in the inbox; expected at least %d", left, s.Backlog)
	}
	add := func(name, unit string, value float64) { results = append(results, Result{name, unit, value}) }

	if why := eachFile(dir, forget); why != nil {
		s.Note("scale.start.cold is left out: " + why.Error())
	} else {
		seconds, grew, err := s.start(ctx, dir)
		if err != nil {
			return nil, err
		}
		left += grew
		add("scale.start.cold", "s", seconds)
	}
	if err := eachFile(dir, func(file *os.File) error { _, err := io.Copy(io.Discard, file); return err }); err != nil {
		return nil, err
	}
	seconds, grew, err := s.start(ctx, dir)
	if err != nil {
		return nil, err
	}
	left += grew
	add("scale.start", "s", seconds)

	s.Progress(fmt.Sprintf("packets/s with a backlog of %d", s.Backlog))
	var flooded float64
	grew, err = s.node(ctx, one(dir), func(p *scaleProcess) error {
		got, err := s.flooded(ctx, p, s.Backlog)
		results = append(results, got...)
		flooded = p.peak()
		return err
	})
	if err != nil {
		return nil, err
	}
	left += grew

	task := one(dir)
	task.Senders = 0
	grew, err = s.node(ctx, task, func(p *scaleProcess) error {
		err := p.await(ctx, fillLimit, func(r scaleReport) bool {
			s.Progress(fmt.Sprintf("working the backlog off: %d of %d packets", r.Got, left))
			return r.Got >= left
		})
		peak = max(peak, p.peak())
		return err
	})
	// What was on its way into the store when an injector ended may be there.
	if left += grew; err == nil && left < -onTheirWay {
		err = fmt.Errorf("%d packets came more often than once, and no node was killed", -left)
	}
	if peak > 0 {
		add("scale.memory.backlog", "MiB", peak)
		add("scale.memory.backlog.flooded", "MiB", flooded)
	}
	return results, err
}

// start is the seconds from the start of a process to its first result.
func (s Scale) start(ctx context.Context, dir string) (seconds float64, grew int64, err error) {
	s.Progress("starting with the backlog")
	task := one(dir)
	task.Senders, task.Hold = 0, true // the backlog is to stay
	grew, err = s.node(ctx, task, func(p *scaleProcess) error {
		err := p.await(ctx, 2*time.Minute, func(r scaleReport) bool { return r.Got > 0 })
		seconds = p.first.Seconds()
		return err
	})
	return seconds, grew, err
}

// eachFile opens every regular file below dir.
func eachFile(dir string, visit func(*os.File) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close() // only read
		return visit(file)
	})
}
