package spans

import (
	"context"
	"log/slog"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// A telling exporter says once that spans cannot be sent, and once that they can
// again; the SDK would say each batch, to standard error.
type telling struct {
	sdktrace.SpanExporter
	log *slog.Logger

	mu   sync.Mutex
	lost int // since it was told that they cannot be sent; 0 while they can
}

func (t *telling) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := t.SpanExporter.ExportSpans(ctx, spans)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil && t.lost == 0:
		t.log.Warn("spans cannot be sent: they are dropped until they can, and nothing else is lost", "error", err)
		t.lost = len(spans)
	case err != nil:
		t.lost += len(spans)
	case t.lost > 0:
		t.log.Info("spans can be sent again", "dropped", t.lost)
		t.lost = 0
	}
	return nil // it was told
}
