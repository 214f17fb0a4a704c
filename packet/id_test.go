package packet

import (
	"encoding/json"
	"strings"
	"testing"

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

func TestChild(t *testing.T) {
	parent, greet := HashID("parent"), KeyOf("greet")
	child := parent.Child(greet, 0)
	if child != parent.Child(greet, 0) {
		t.Error("running again gives another id")
	}
	for name, other := range map[string]ID{
		"the parent":     parent,
		"another index":  parent.Child(greet, 1),
		"another seed":   parent.Child(KeyOf("greet2"), 0),
		"another parent": child.Child(greet, 0),
	} {
		if child == other {
			t.Errorf("%s has the same id", name)
		}
	}
}

// TestIDsStay holds ids to the values that they had: they stand in stores, and
// in the sinks of users, which would take the same results for new ones.
func TestIDsStay(t *testing.T) {
	for name, tt := range map[string]struct {
		got  ID
		want string
	}{
		"hash":  {HashID("a", "b"), "386dd4089c6ee589814121ded3f344dc"},
		"child": {IDOf([16]byte{1, 2, 3}).Child(KeyOf("greet"), 7), "1e3a64a5ec3639f9757836dcaa13ce67"},
	} {
		if tt.got.String() != tt.want {
			t.Errorf("%s: the id is %s, and was %s", name, tt.got, tt.want)
		}
	}
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
