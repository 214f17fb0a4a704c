package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

func TestStreamNames(t *testing.T) {
	seen := map[string]store.Queue{}
	for _, q := range []store.Queue{"in.a", "in.A", "in.a-1", "wait.a.b", "wait.A.b", "wait.a.B", "wait.in.a", "in.wait", "in.a_b", store.Queue("wait." + strings.Repeat("X", 96) + "." + strings.Repeat("y", 96))} {
		name := streamName(q)
		if back, ok := queueOf(name); !ok || back != q {
			t.Errorf("%s is stream %s, and that is queue %s", q, name, back)
		}
		if other, ok := seen[strings.ToLower(name)]; ok {
			t.Errorf("%s and %s have the same folder", q, other)
		}
		seen[strings.ToLower(name)] = q
		if len(name) > 220 {
			t.Errorf("the name of %s has %d bytes", q, len(name))
		}
	}
	for _, name := range []string{"", "in", "in=", "in=A", "in=A=00000000", "KV_x", "out=a"} {
		if q, ok := queueOf(name); ok {
			t.Errorf("stream %q is queue %s", name, q)
		}
	}
}

func TestGroupPrefix(t *testing.T) {
	seen := map[string]string{}
	for _, group := range []string{"default", "Default", "DEFAULT", "a", "a-b", "a_b"} {
		prefix := strings.ToLower(groupPrefix(group))
		if other, ok := seen[prefix]; ok {
			t.Errorf("groups %s and %s have the same prefix %s", group, other, prefix)
		}
		seen[prefix] = group
	}
}

func TestSubjects(t *testing.T) {
	for _, after := range []time.Duration{0, 1, time.Second, store.MaxDelay} {
		for _, packets := range []int{1, 17, store.MaxPackets} {
			if n, d := parseSubject(subject("default", "in.a", packets, after)); n != packets || d != after {
				t.Errorf("%d packets for %v are read as %d for %v", packets, after, n, d)
			}
		}
	}
	for _, bad := range []string{"", "pmk.g.in.a.1", "pmk.g.in.a.000", "pmk.g.in.a.257", "pmk.g.in.a.001-", "pmk.g.in.a.001--1", "pmk.g.in.a.001-zzzzzzzzzz"} {
		if n, d := parseSubject(bad); n != 0 || d != 0 {
			t.Errorf("%q is read as %d packets for %v", bad, n, d)
		}
	}
	delayed := subject("g", "in.a-1", 4, time.Second)
	packets, delays := packetsIn(map[string]uint64{subject("g", "in.a-1", 3, 0): 2, delayed: 2})
	if packets != 14 || delays != 2*int64(len(delayed)-len(subject("g", "in.a-1", 4, 0))) {
		t.Errorf("%d packets and %d bytes of delays", packets, delays)
	}
	// Two messages with 7 bytes of data between them, as the server counts.
	each := uint64(len("pmk.g.in.a.001") + aroundMessage)
	if n := frameBytes("g", "in.a", 2*each+7, 2); n != 7 {
		t.Errorf("%d bytes; expected 7", n)
	}
}
