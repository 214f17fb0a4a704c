package layout

import (
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/store"
)

func TestStreamNames(t *testing.T) {
	seen := map[string]store.Place{}
	for _, at := range []store.Place{"in.a", "in.A", "in.a-1", "wait.a.b", "wait.A.b", "wait.a.B", "wait.in.a", "in.wait", "in.a_b", store.Place("wait." + strings.Repeat("X", 96) + "." + strings.Repeat("y", 96))} {
		name := StreamName(at)
		if back, ok := PlaceOf(name); !ok || back != at {
			t.Errorf("%s is stream %s, and that is place %s", at, name, back)
		}
		if other, ok := seen[strings.ToLower(name)]; ok {
			t.Errorf("%s and %s have the same folder", at, other)
		}
		seen[strings.ToLower(name)] = at
		if len(name) > 220 {
			t.Errorf("the name of %s has %d bytes", at, len(name))
		}
	}
	for _, name := range []string{"", "in", "in=", "in=A", "in=A=00000000", "KV_x", "out=a"} {
		if at, ok := PlaceOf(name); ok {
			t.Errorf("stream %q is place %s", name, at)
		}
	}
}

func TestGroupPrefix(t *testing.T) {
	seen := map[string]string{}
	for _, group := range []string{"default", "Default", "DEFAULT", "a", "a-b", "a_b"} {
		prefix := strings.ToLower(GroupPrefix(group))
		if other, ok := seen[prefix]; ok {
			t.Errorf("groups %s and %s have the same prefix %s", group, other, prefix)
		}
		seen[prefix] = group
	}
}

func TestSubjects(t *testing.T) {
	if n := PacketsIn(Subject("default", "in.a", 17)); n != 17 {
		t.Errorf("%d packets; expected 17", n)
	}
	for subject, is := range map[string]bool{
		Subject("g", "in.a", 1):   true,
		Subject("g", "in.a", 256): true,
		Subject("g", "in.a", 257): false,
		Subject("g", "in.b", 1):   false,
		"pmk.g.in.a.1":            false,
		"pmk.g.in.a.x.001":        false,
	} {
		if got := IsSubjectOf("in.a", subject); got != is {
			t.Errorf("that %s is a subject of in.a is said to be %v", subject, got)
		}
	}
	if n := Packets(map[string]uint64{Subject("g", "in.a", 3): 2, Subject("g", "in.a", 256): 1}); n != 262 {
		t.Errorf("%d packets; expected 262", n)
	}
	// Two messages with 7 bytes of data between them, as the server counts.
	each := uint64(len("pmk.g.in.a.001") + AroundFile)
	if n := Bytes("g", "in.a", 2*each+7, 2, AroundFile); n != 7 {
		t.Errorf("%d bytes; expected 7", n)
	}
}
