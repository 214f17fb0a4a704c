// Package spans reports runs to OpenTelemetry: a span for each packet that comes in
// and for each run, sent by OTLP as the OTEL_* variables of the environment say.
// Spans are made when their run is over, with an id that was chosen before, so that
// children and other programs could be told it.
package spans

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// Config says whose spans these are.
type Config struct {
	// Node and Version are the node's.
	Node, Version string
	// Env reads a variable of the environment, as os.Getenv does, for what the
	// SDK does not read itself.
	Env func(string) string
	// Log is told when spans cannot be sent, once, and when they can again.
	Log *slog.Logger
}

// A Tracer makes spans and sends them, many at a time, from a goroutine of its
// own; it holds at most as many as OTEL_BSP_MAX_QUEUE_SIZE says and drops what
// is beyond. It is safe for concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
}

// Open begins to make spans, or returns nil if the environment does not ask for
// any. It does not wait for who takes them.
func Open(ctx context.Context, cfg Config) (*Tracer, error) {
	s, err := read(cfg.Env)
	if err != nil || !s.on {
		return nil, err
	}
	inner, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("send spans: %w", err)
	}
	own := []attribute.KeyValue{
		attribute.String("service.instance.id", cfg.Node), attribute.String("service.version", cfg.Version),
	}
	res, err := resource.New(ctx, resource.WithAttributes(append(own, attribute.String("service.name", "pumpkin"))...),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		// The attributes that could be read are in it.
		cfg.Log.Warn("OTEL_RESOURCE_ATTRIBUTES: " + err.Error())
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&telling{SpanExporter: inner, log: cfg.Log}),
		sdktrace.WithResource(res), sdktrace.WithIDGenerator(places{}))
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/recap/pumpkin", oteltrace.WithInstrumentationVersion(cfg.Version))}, nil
}

// closeTime is how long the end of a node waits for the last spans to be taken.
const closeTime = 2 * time.Second

// Close sends what there is, for a short while, and ends the tracer.
func (t *Tracer) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return // the exporter has said it, and nothing but spans is lost
	}
}

// Root makes the span of a packet that comes in, in the sender's trace or in one
// that has the id of the ship.
func (t *Tracer) Root(parent packet.TraceContext, r *trace.Run) packet.TraceContext {
	name := r.Seed
	if name == "" {
		name = "send " + string(r.State)
	}
	ctx := context.WithValue(context.Background(), placeKey{}, packet.TraceContext{Trace: r.Ship.Root.Bytes(), Span: newSpan()})
	kind := oteltrace.WithSpanKind(oteltrace.SpanKindProducer)
	_, span := t.tracer.Start(below(ctx, parent), name, kind, oteltrace.WithTimestamp(r.At), oteltrace.WithAttributes(attributes(r)...))
	span.End(oteltrace.WithTimestamp(r.At))
	c := span.SpanContext()
	if !c.IsSampled() {
		return parent // one that is not sampled, or none: nobody else is to begin one
	}
	return packet.TraceContext{Trace: c.TraceID(), Span: c.SpanID(), Flags: byte(oteltrace.FlagsSampled)}
}

// Child is a new span's place below parent.
func (t *Tracer) Child(parent packet.TraceContext) packet.TraceContext {
	if parent.Sampled() {
		parent.Span = newSpan()
	}
	return parent
}

// Ran makes the span of a run that is over.
func (t *Tracer) Ran(parent, own packet.TraceContext, r *trace.Run) {
	if !parent.Sampled() {
		return
	}
	ctx := context.WithValue(context.Background(), placeKey{}, own)
	_, span := t.tracer.Start(below(ctx, parent), r.Seed, oteltrace.WithSpanKind(oteltrace.SpanKindConsumer),
		oteltrace.WithTimestamp(r.At), oteltrace.WithAttributes(attributes(r)...))
	if r.Error != "" {
		span.SetStatus(codes.Error, r.Error)
	}
	span.End(oteltrace.WithTimestamp(r.At.Add(r.Took)))
}

// below is ctx with the parent of a span, if there is one.
func below(ctx context.Context, parent packet.TraceContext) context.Context {
	if parent.IsZero() {
		return ctx
	}
	return oteltrace.ContextWithRemoteSpanContext(ctx, oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
		TraceID: parent.Trace, SpanID: parent.Span, TraceFlags: oteltrace.TraceFlags(parent.Flags), Remote: true,
	}))
}

func attributes(r *trace.Run) []attribute.KeyValue {
	kv := []attribute.KeyValue{
		attribute.String("pumpkin.node", r.Node), attribute.String("pumpkin.packet", r.Packet.String()), attribute.String("pumpkin.ship", r.Ship.String()),
		attribute.String("pumpkin.state.in", string(r.State)), attribute.String("pumpkin.result", string(r.Result())),
	}
	if r.Born {
		return kv
	}
	kv = append(kv, attribute.Int("pumpkin.attempt", r.Attempt), attribute.Int("pumpkin.outputs", r.Gave))
	if len(r.Given) > 0 {
		states := make([]string, len(r.Given))
		for i, s := range r.Given {
			states[i] = string(s)
		}
		kv = append(kv, attribute.StringSlice("pumpkin.state.out", states))
	}
	return kv
}

func newSpan() (id [8]byte) {
	rand.Read(id[:]) // never fails, says crypto/rand
	return id
}

type placeKey struct{}

// places gives a span the ids that were decided for it.
type places struct{}

func (places) NewIDs(ctx context.Context) (oteltrace.TraceID, oteltrace.SpanID) {
	c := place(ctx)
	return c.Trace, c.Span
}

func (places) NewSpanID(ctx context.Context, _ oteltrace.TraceID) oteltrace.SpanID {
	return place(ctx).Span
}

func place(ctx context.Context) packet.TraceContext {
	c, ok := ctx.Value(placeKey{}).(packet.TraceContext)
	if !ok {
		panic("a span without a place")
	}
	return c
}
