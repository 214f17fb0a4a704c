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
