package cli

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/spans"
)

// tracer sends spans if the OTEL_* variables of the environment ask for it, until
// end is called. What it cannot do it says: a node runs without as well.
func (a *app) tracer(ctx context.Context, name string, log *slog.Logger) (tracer node.Tracer, end func()) {
	t, err := spans.Open(ctx, spans.Config{Node: name, Version: versionText(), Env: os.Getenv, Log: log})
	if a.signals == nil { // the environment of another program is not this node's to change
		forgetHeaders()
	}
	switch {
	case err != nil:
		log.Warn("no spans are sent", "error", err)
	case t != nil:
		log.Info("spans of all runs go to OpenTelemetry, as the OTEL_* variables say")
		return t, t.Close
	}
	return nil, func() {}
}

// forgetHeaders takes out of the environment what lets spans in, which have been opened: what
// this process starts is not to have it.
func forgetHeaders() {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") && strings.HasSuffix(name, "_HEADERS") {
			os.Unsetenv(name) // its only error is a name that is none
		}
	}
}
