package faulttest

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/tests/faulttest/lan"
)

// TestCopiedFolder has a machine cloned whose node has packets: a node on the copy runs none of
// them while the other is there, and says why.
func TestCopiedFolder(t *testing.T) {
	t.Parallel()
	const packets = 20
	for _, c := range []struct {
		name  string
		first func(original, copied *member) (first, second *member)
	}{
		{"the original comes first", func(original, copied *member) (first, second *member) { return original, copied }},
		{"the copy comes first", func(original, copied *member) (first, second *member) { return copied, original }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newTeam(t, "copy: "+c.name, extractor(lan.Left), extractor(lan.Right))
			original, copied := r.members[0], r.members[1]
			ids := original.store(packets)
			copyFolder(t, original, copied)
			first, second := c.first(original, copied)
			r.start(first)
			if second == original {
				// It waits to see whether somebody else has the folder.
				testenv.Eventually(t, meetTime, "the copy runs what it has", func() bool { return len(r.arrived(ids)) == packets })
			}
			r.start(second)
			sentence := "this folder is a copy of that of the node at " + first.at() + "; "
			testenv.Eventually(t, meetTime, "the second says that it has a copy", func() bool { return strings.Contains(second.said(), sentence) })
			testenv.Eventually(t, meetTime, "the first runs what it has", func() bool { return len(r.arrived(ids)) >= packets })
			if out, _ := second.command("ps"); !strings.Contains(out, sentence) {
				t.Errorf("ps of the second:\n%s", out)
			}
			if status, text := second.ask("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, sentence) {
				t.Errorf("the second is ready: %d %s", status, text)
			}
			if status, text := first.ask("/readyz"); status != http.StatusOK {
				t.Errorf("the first is not ready: %d %s", status, text)
			}
			testenv.Eventually(t, meetTime, "the first names the second", func() bool {
				return slices.ContainsFunc(first.outsiders(), func(o api.Outsider) bool { return o.Reason == string(mesh.Copied) && o.At == second.at() })
			})
			if second == copied {
				// What the other has run does not run again when that ends, and what comes waits.
				if !first.node.end(meetTime) {
					t.Error("the first does not end")
				}
				first.away()
				second.put(api.Sending{ID: drawID(r.rand), State: "String:DONE", Data: []byte("more")})
				testenv.Eventually(t, meetTime, "all is stored", func() bool {
					st, err := second.node.status()
					return err == nil && st.Seeds[0].Stored == packets+1
				})
			}
			if got := r.arrived(ids); len(got) != packets {
				t.Errorf("%d runs of %d packets", len(got), packets)
			}
		})
	}
}

// TestAFolderThatWasMoved has the only node of a folder that was copied: it goes on with what
// lies there, after it has looked whether another has it.
func TestAFolderThatWasMoved(t *testing.T) {
	t.Parallel()
	const packets = 20
	r := newTeam(t, "moved", extractor(lan.Left), extractor(lan.Right))
	original, copied := r.members[0], r.members[1]
	ids := original.store(packets)
	copyFolder(t, original, copied)
	r.start(copied)
	testenv.Eventually(t, meetTime, "it runs what it has", func() bool { return len(r.arrived(ids)) == packets })
	if !strings.Contains(copied.said(), "the data folder may be a copy") {
		t.Error("it has not looked whether another has the folder")
	}
	// At the same place it does not look again.
	copied.kill()
	before := len(copied.said())
	r.start(copied)
	if strings.Contains(copied.said()[before:], "the data folder may be a copy") {
		t.Error("it looks again, at the same place")
	}
}

// store has the member's node store packets that it does not run, and end.
func (m *member) store(packets int) (ids []packet.ID) {
	m.team.t.Helper()
	all := m.args
	m.args, m.seeds = append(slices.Clone(all), "--without", "note"), 0
	m.team.start(m)
	for range packets {
		id := drawID(m.team.rand)
		m.put(api.Sending{ID: id, State: "String:DONE", Data: []byte(dataOf(id))})
		ids = append(ids, id)
	}
	if !m.node.end(meetTime) {
		m.team.t.Fatal("the node does not end")
	}
	m.away()
	m.args, m.seeds = all, 1
	return ids
}

// copyFolder copies the data folder of a member's node, which does not run, to another.
func copyFolder(t *testing.T, from, to *member) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", filepath.Join(from.dir, "data"), to.dir).CombinedOutput(); err != nil {
		t.Fatalf("copy the data folder: %v: %s", err, out)
	}
}

// arrived are the packets of these that were run, each as often as it was.
func (r *team) arrived(ids []packet.ID) (got []packet.ID) {
	r.t.Helper()
	text, err := os.ReadFile(r.sink.Name())
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(line, " "); ok {
			if id, err := packet.ParseID(name); err == nil && slices.Contains(ids, id) {
				got = append(got, id)
			}
		}
	}
	return got
}
