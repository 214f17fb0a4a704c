package runner

import (
	"slices"
	"strings"
)

// StepEnviron is what of a node's environment a step gets: all but the node's settings
// (PUMPKIN_*), what its exporter of spans is let in with (OTEL_*_HEADERS), and what another
// run was given (PMK_*), which may have started this node. It changes env.
func StepEnviron(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "PUMPKIN_") || strings.HasPrefix(name, "PMK_") ||
			strings.HasPrefix(name, "OTEL_") && strings.HasSuffix(name, "_HEADERS")
	})
}
