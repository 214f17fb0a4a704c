package packet

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"
)

func TestHashIDSetsPartsApart(t *testing.T) {
	seen := map[ID]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"ab", ""}, {"", "ab"}, {"b", "a"}} {
		id := HashID(parts...)
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %s have the id %s", parts, other, id)
		}
		seen[id] = strings.Join(parts, "+")
		if id != HashID(parts...) {
			t.Errorf("%q has two ids", parts)
		}
	}
}

func TestRunID(t *testing.T) {
	part, greet := HashID("part"), KeyOf("greet")
	run := RunID(greet, 0, part)
	if again := RunID(greet, 0, part); again != run || again.Output(0) != run.Output(0) {
		t.Error("running again gives another id")
	}
	seen := map[ID]string{}
	for name, id := range map[string]ID{
		"the part":         part,
		"the run":          run,
		"an output":        run.Output(0),
		"another output":   run.Output(1),
		"another seed":     RunID(KeyOf("greet2"), 0, part),
		"another round":    RunID(greet, 1, part),
		"another part":     RunID(greet, 0, run.Output(0)),
		"no part":          RunID(greet, 0),
		"two parts":        RunID(greet, 0, part, run),
		"the other order":  RunID(greet, 0, run, part),
		"a part twice":     RunID(greet, 0, part, part),
		"two, other round": RunID(greet, 1, part, run),
	} {
		if other, twice := seen[id]; twice {
			t.Errorf("%s and %s have the same id", name, other)
		}
		seen[id] = name
	}
}

// TestRunIDsHaveOneForm: one part is hashed as several are.
func TestRunIDsHaveOneForm(t *testing.T) {
	part := IDOf([16]byte{1, 2, 3})
	var bytes []byte
	bytes = binary.BigEndian.AppendUint64(bytes, uint64(KeyOf("greet")))
	bytes = binary.BigEndian.AppendUint64(bytes, 2)
	bytes = part.Append(bytes)
	if want := ID(xxh3.Hash128(bytes)); RunID(KeyOf("greet"), 2, part) != want {
		t.Errorf("the id is %s, want %s", RunID(KeyOf("greet"), 2, part), want)
	}
}

// TestIDsStay holds ids to the values that they had: they stand in stores, and
// in the sinks of users, which would take the same results for new ones. Those
// of runs changed once, before the first release, when they came to cover the
// round and several parts.
func TestIDsStay(t *testing.T) {
	part := IDOf([16]byte{1, 2, 3})
	for name, tt := range map[string]struct {
		got  ID
		want string
	}{
		"hash":          {HashID("a", "b"), "386dd4089c6ee589814121ded3f344dc"},
		"run":           {RunID(KeyOf("greet"), 0, part), "a92c87b96103cc95a6e0a4c3bc3f7f74"},
		"retried run":   {RunID(KeyOf("greet"), 3, part), "8dc9fb5071f47000b974c62ad1258caf"},
		"run on two":    {RunID(KeyOf("greet"), 0, part, HashID("a", "b")), "57dbabfbf3485a712fe59554aacf03e9"},
		"output of run": {RunID(KeyOf("greet"), 0, part).Output(7), "8ea3095947b407225a15c703f5a7e7c5"},
	} {
		if tt.got.String() != tt.want {
			t.Errorf("%s: the id is %s, and was %s", name, tt.got, tt.want)
		}
	}
}

func BenchmarkID(b *testing.B) {
	id, key := NewID(), KeyOf("greet")
	b.Run("run", func(b *testing.B) {
		for b.Loop() {
			id = RunID(key, 0, id)
		}
	})
	b.Run("output", func(b *testing.B) {
		for b.Loop() {
			id = id.Output(0)
		}
	})
}

func TestNewID(t *testing.T) {
	if a, b := NewID(), NewID(); a == b || a.IsZero() || !(ID{}).IsZero() {
		t.Errorf("drew %s and %s", a, b)
	}
}

func TestParseID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := IDOf([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")))
		if IDOf(id.Bytes()) != id {
			t.Fatalf("%s has the bytes %x", id, id.Bytes())
		}
		got, err := ParseID(id.String())
		if err != nil || got != id {
			t.Fatalf("%s came back as %s, %v", id, got, err)
		}
		text, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		var back ID
		if err := json.Unmarshal(text, &back); err != nil || back != id {
			t.Fatalf("%s came back from JSON as %s, %v", id, back, err)
		}
	})
	for _, s := range []string{"", "12", strings.Repeat("g", 32), strings.Repeat("0", 34)} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("%q was taken for %s", s, id)
		}
	}
	kept := HashID("kept")
	if err := kept.UnmarshalText([]byte("no id")); err == nil || kept != HashID("kept") {
		t.Errorf("a text that is no id made it %s, %v", kept, err)
	}
}
