package faulttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/testenv"
)

// rotRounds is how often files are harmed; each time is a node of its own.
const rotRounds = 10

// names is how a log names damage.
var names = regexp.MustCompile(`(?i)error unmarshalling .* metafile|damage|corrupt|checksum|cannot be read|is broken|not what was stored|invalid|filestore \[|recover|bad msg|unexpected end`)

// TestRot flips bits in the files of a node that was killed, or cuts them
// short. Then the node says so, or nothing is lost; and what arrives is right.
func TestRot(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sum verdict
	reported, refused, rounds := 0, 0, rotRounds*factor(t)
	t.Run("round", func(t *testing.T) {
		for i := range rounds {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				v, said, up := rot(t, true)
				mu.Lock()
				defer mu.Unlock()
				sum.acked += v.acked
				sum.duplicates += v.duplicates
				if said {
					reported++
				} else {
					sum.lost = append(sum.lost, v.lost...)
				}
				if !up {
					refused++
				}
			})
		}
	})
	t.Run("unharmed", func(t *testing.T) {
		if v, said, up := rot(t, false); said || !up || len(v.lost) > 0 {
			t.Errorf("killed and left alone: up %v, damage reported %v, %d lost", up, said, len(v.lost))
		}
	})
	report("bit flips, truncation", rounds, sum)
	fmt.Printf("  damage reported in %d of %d rounds, a start refused in %d; lost are those that no report tells of\n", reported, rounds, refused)
}

// rot is one round: packets wait in the store while it is harmed. It tells
// whether the node then said so, and whether it came up.
func rot(t *testing.T, spoil bool) (v verdict, said, up bool) {
	r := newRig(t, "rot", "disk")
	plain := r.args
	r.args, r.seeds = append(slices.Clone(plain), "--without", "note"), 2
	r.start()
	end := r.load()
	r.moment()
	r.kill()
	end()
	harm := "no harm"
	if spoil {
		harm = r.harm()
	}
	t.Log(harm)
	fmt.Fprintf(r.log, "--- %s\n", harm)
	before := len(r.said())

	r.args, r.seeds = plain, 3
	err := r.try()
	up = err == nil
	if up {
		testenv.Eventually(r.t, 2*patience, "no seed is being loaded", func() bool { return !r.loading() })
		r.drain(12 * time.Second) // more than a lease
		st, err := r.node.status()
		if err != nil {
			t.Errorf("the status of the node: %v", err)
		}
		said = len(st.Store.Damage) > 0
		r.away()
		r.node.end(20 * time.Second)
	} else if !errors.Is(err, errEnded) {
		t.Error(err)
	}
	r.read(r.t)
	v = r.tally.judge(r.feed.all)
	said = said || names.MatchString(r.said()[before:])
	for _, text := range v.wrong {
		t.Error(text)
	}
	switch {
	case !up && !said:
		t.Errorf("the node does not start and does not say that its files are damaged: %v", err)
	case len(v.lost) > 0 && !said:
		t.Errorf("%d of %d packets are lost without a word, after: %s", len(v.lost), v.acked, harm)
	}
	t.Logf("up %v, reported %v, packets %d, lost %d", up, said, v.acked, len(v.lost))
	return v, said, up
}

// loading tells whether a seed of the node is being loaded, which takes long on a busy machine.
func (r *rig) loading() bool {
	st, err := r.node.status()
	return err == nil && slices.ContainsFunc(st.Seeds, func(s api.SeedStatus) bool { return s.Loading })
}

// harm spoils one to three of the node's files and says how.
func (r *rig) harm() string {
	var all, blocks []string
	err := filepath.WalkDir(r.data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		all = append(all, path)
		if ext := filepath.Ext(path); ext == ".log" || ext == ".sst" {
			blocks = append(blocks, path)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		r.t.Fatalf("the data folder has %d files: %v", len(all), err)
	}
	what := "harm:"
	for range 1 + r.rand.IntN(3) {
		from := all
		if len(blocks) > 0 && r.rand.IntN(2) == 0 {
			from = blocks
		}
		path := from[r.rand.IntN(len(from))]
		data, err := os.ReadFile(path)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(data) == 0 {
			continue // it was cut before
		}
		name, _ := filepath.Rel(r.data, path)
		at := r.rand.IntN(len(data))
		if r.rand.IntN(3) == 0 {
			what += fmt.Sprintf(" %s cut from %d to %d;", name, len(data), at)
			data = data[:at]
		} else {
			bit := r.rand.IntN(8)
			what += fmt.Sprintf(" %s bit %d of byte %d of %d;", name, bit, at, len(data))
			data[at] ^= 1 << bit
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	return what
}
