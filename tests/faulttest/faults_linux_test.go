package faulttest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/tests/faulttest/lossy"
)

// A fault is what a node is to survive without the loss of a packet.
type fault struct {
	name   string
	rounds int
	// on makes the file system of the data folder; nil is an ordinary one.
	on func(r *rig) mount
	// strike does it, at a random moment of a round. Afterwards the node is
	// up.
	strike func(r *rig)
	// tears says that the fault leaves half-written records.
	tears bool
}

func faults() []fault {
	return []fault{
		{name: "none", rounds: 2, strike: func(*rig) {}},
		{name: "kill -9 of the node", rounds: 30, strike: killNode},
		{name: "kill -9 of workers", rounds: 20, strike: killWorkers},
		{name: "stopped for 12 s", rounds: 2, strike: stopNode},
		{name: "full disk", rounds: 3, on: small, strike: fillDisk},
		{name: "power loss", rounds: 25, on: onLossy(lossy.Journalled), strike: losePower, tears: true},
		{name: "power loss, by POSIX", rounds: 6, on: onLossy(lossy.Portable), strike: losePower, tears: true},
	}
}

// TestFaults strikes a node under load, again and again: what it acknowledged
// arrives.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, f.name, "disk")
			if f.on != nil {
				r.mount = f.on(r)
				r.data = filepath.Join(r.mount.Dir(), "data")
			}
			r.start()
			end := r.load()
			rounds := f.rounds * factor(t)
			for range rounds {
				r.moment()
				f.strike(r)
			}
			end()
			r.drain(patience)
			if r.retryFailed() {
				r.drain(patience)
			}
			st, err := r.node.status()
			// What was being written when the power went cannot be told from
			// rot, and is reported as that.
			if err != nil || len(st.Store.Damage) > 0 && !f.tears {
				t.Errorf("damage that nobody did: %q; %v", st.Store.Damage, err)
			}
			r.tellWaiting(st)
			r.finish(rounds)
		})
	}
}

// TestMemoryLoses holds the checker to account: it sees that a node without a
// store on disk loses packets when it is killed.
func TestMemoryLoses(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", "memory")
	r.data = ""
	r.start()
	end := r.load()
	defer end()
	for range 50 {
		r.moment()
		r.kill()
		if len(r.missing()) > 0 {
			return
		}
		r.start()
	}
	t.Error("a node that keeps packets in memory was killed 50 times, and no loss was seen")
}

func killNode(r *rig) {
	r.kill()
	if r.rand.IntN(3) == 0 { // once more, while it takes up what lies there
		r.begin()
		r.node.kill()
	}
	r.start()
}

func killWorkers(r *rig) {
	var killed int
	testenv.Eventually(r.t, time.Minute, "a worker to kill", func() bool {
		st, err := r.node.status() // a load that is killed is no worker, and tried again only later
		if err != nil || slices.ContainsFunc(st.Seeds, func(s api.SeedStatus) bool { return s.Loading || s.NotLoaded != "" }) {
			return false
		}
		for _, pid := range r.node.workers() {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed++
			}
		}
		return killed > 0
	})
}

// stopNode stops the node for longer than its leases last.
func stopNode(r *rig) {
	r.node.signal(r.t, syscall.SIGSTOP)
	time.Sleep(12 * time.Second)
	r.node.signal(r.t, syscall.SIGCONT)
}

// A tmpfs is a small file system.
type tmpfs string

func (d tmpfs) Dir() string { return string(d) }

func small(r *rig) mount {
	dir := r.t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		testenv.Lacks(r.t, "the right to mount a tmpfs", err)
	}
	r.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			r.t.Error(err)
		}
	})
	return tmpfs(dir)
}

// fillDisk takes all room until the senders get nothing in, and gives it back:
// the node goes on by itself.
func fillDisk(r *rig) {
	ballast := filepath.Join(r.mount.Dir(), "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	// As long as packets get in, what they had makes room again.
	last, since := -1, time.Now()
	for time.Since(since) < 2*time.Second {
		chunk := make([]byte, 64<<10)
		for len(chunk) > 0 {
			if n, err := file.Write(chunk); err != nil {
				chunk = chunk[:len(chunk[n:])/2]
			}
		}
		r.feed.change(func() {
			r.feed.quota = r.feed.acked + quota
			if r.feed.acked != last {
				last, since = r.feed.acked, time.Now()
			}
		})
		time.Sleep(20 * time.Millisecond) // the room of others is not ours to watch
	}
	if err := os.Remove(ballast); err != nil {
		r.t.Fatal(err)
	}
	file.Close()
	freed := time.Now()
	if !r.feed.until(time.Minute, func() bool { return r.feed.acked > last+quota/4 }) {
		r.t.Fatalf("%v after there was room again, the node takes nothing: %v", time.Since(freed).Round(time.Second), r.feed.fault)
	}
}

func onLossy(rule lossy.Rule) func(*rig) mount {
	return func(r *rig) mount { return lossy.Start(r.t, rule, r.rand.Uint64()) }
}

// losePower forgets what was not synced, under a node that still runs for a
// moment.
func losePower(r *rig) {
	disk := r.mount.(*lossy.Mount)
	lose := func(kill func()) {
		loss := disk.PowerOff()
		kill()
		disk.PowerOn()
		fmt.Fprintf(r.log, "--- power lost, with %d names and %d pages\n", loss.Names, loss.Pages)
	}
	lose(r.kill)
	if r.rand.IntN(3) == 0 { // once more, while the node takes up what is left
		r.begin()
		lose(r.node.kill)
	}
	r.start()
}
