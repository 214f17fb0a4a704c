package runnertest

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// When memory runs out, a run is to go before its node.
func TestARunGoesBeforeItsNode(t *testing.T) {
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Skip("this system has no such score")
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	b := shell(t, "cat /proc/self/oom_score_adj", 0, nil)
	sink, err := b.run(b.worker(), "x")
	if err != nil || len(sink.Outs) != 1 {
		t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	if score, err := strconv.Atoi(strings.TrimSpace(sink.Outs[0].Data)); err != nil || score <= own && own < 1000 {
		t.Errorf("the score of a run is %q, that of its node %d", sink.Outs[0].Data, own)
	}
}

// A run that the system has killed since memory ran out, in a control group that only the kernel's
// log tells of, says so.
func TestARunThatMemoryRanOutFor(t *testing.T) {
	group, err := os.MkdirTemp("/sys/fs/cgroup/memory", "pmk-test-")
	if err != nil {
		t.Skip("needs a control group of its own: ", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(group+"/memory.limit_in_bytes", []byte("20000000"), 0); err != nil {
		t.Skip("needs to limit memory: ", err)
	}
	log, err := os.OpenFile("/dev/kmsg", os.O_RDONLY, 0)
	if err != nil {
		t.Skip("needs to read the kernel's log: ", err)
	}
	log.Close() // only opened
	b := shell(t, "echo $$ >"+group+"/tasks || exit 3\nx=x; while :; do x=$x$x; done", 0, nil)
	sink, err := b.run(b.worker(), "x")
	if err != nil || len(sink.Dones) != 1 || sink.Dones[0] == nil {
		t.Fatalf("gave %v, %v, %v", sink.Outs, sink.Dones, err)
	}
	if text := sink.Dones[0].Error(); text != "killed by SIGKILL, probably out of memory" {
		t.Errorf("it was %q", text)
	}
}
