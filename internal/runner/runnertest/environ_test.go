package runnertest

import (
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
)

// No kind of step sees the settings of its node, what its spans are let in with, or what
// another run was given in which the node may have been started.
func TestAStepHasNoSettingsOfItsNode(t *testing.T) {
	testenv.Need(t, "python3")
	for _, name := range []string{"PUMPKIN_KEY", "PUMPKIN_STORE", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "PMK_DATA", "PMK_ATTR_LEAK"} {
		t.Setenv(name, "secret")
	}
	t.Setenv("OTEL_SERVICE_NAME", "public")
	for name, k := range kinds(`echo $(env | grep -a -e secret -e public)`, `" ".join("%s=%s" % v for v in os.environ.items() if v[1] in ("secret", "public"))`) {
		r, err := snapped(t, write(t, name, k.source), k.mode)
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, r: r}
		sink, err := b.run(b.worker(), "x")
		if err != nil || len(sink.Outs) != 1 || strings.TrimSpace(sink.Outs[0].Data) != "OTEL_SERVICE_NAME=public" {
			t.Errorf("%s gave %v, %v, %v", name, sink.Outs, sink.Dones, err)
		}
	}
}
