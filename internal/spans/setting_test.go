package spans

import (
	"strings"
	"testing"
)

func TestSetting(t *testing.T) {
	const endpoint, protocol = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
	for _, c := range []struct {
		name  string
		env   map[string]string
		on    bool
		wrong string
	}{
		{"nothing", nil, false, ""},
		{"a name alone", map[string]string{"OTEL_SERVICE_NAME": "x"}, false, ""},
		{"an endpoint", map[string]string{endpoint: "http://localhost:4318"}, true, ""},
		{"one of traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, true, ""},
		{"an exporter", map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		{"none", map[string]string{"OTEL_TRACES_EXPORTER": "none", endpoint: "http://localhost:4318"}, false, ""},
		{"disabled", map[string]string{"OTEL_SDK_DISABLED": "True", endpoint: "http://localhost:4318"}, false, ""},
		{"not disabled", map[string]string{"OTEL_SDK_DISABLED": "false", endpoint: "http://localhost:4318"}, true, ""},
		{"the protocol", map[string]string{protocol: "http/protobuf", endpoint: "http://localhost:4318"}, true, ""},
		{"another protocol", map[string]string{protocol: "grpc", endpoint: "http://localhost:4317"}, false, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: spans go by http/protobuf alone"},
		{"another for metrics", map[string]string{protocol: "grpc"}, false, ""},
		{"another exporter", map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, "OTEL_TRACES_EXPORTER=zipkin: expected otlp or none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := read(func(name string) string { return c.env[name] })
			if s.on != c.on || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%+v, %v; expected %v, %q", s, err, c.on, c.wrong)
			}
		})
	}
}

func TestOffIsNoTracer(t *testing.T) {
	tracer, err := Open(t.Context(), Config{Env: func(string) string { return "" }})
	if tracer != nil || err != nil {
		t.Error(tracer, err)
	}
}
