package spans

import (
	"fmt"
	"strings"
)

// A setting is what the OTEL_* variables ask for, as far as it is not left to the
// OpenTelemetry SDK, which reads the others itself.
type setting struct{ on bool }

// read reads the variables. Nothing is on unless one of them asks for it. An
// error says what cannot be done; then nothing is on either.
func read(env func(string) string) (setting, error) {
	first := func(names ...string) (name, value string) {
		for _, name = range names {
			if value = strings.TrimSpace(env(name)); value != "" {
				return name, value
			}
		}
		return "", ""
	}
	if _, off := first("OTEL_SDK_DISABLED"); strings.EqualFold(off, "true") {
		return setting{}, nil
	}
	var s setting
	_, endpoint := first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	switch name, exporter := first("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return setting{}, nil
	case "":
		s.on = endpoint != ""
	case "otlp":
		s.on = true
	default:
		return setting{}, fmt.Errorf("%s=%s: expected otlp or none", name, exporter)
	}
	if !s.on {
		return setting{}, nil
	}
	name, protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	if protocol != "" && protocol != "http/protobuf" {
		return setting{}, fmt.Errorf("%s=%s: spans go by http/protobuf alone; say that, and an endpoint for it, such as http://localhost:4318", name, protocol)
	}
	return s, nil
}
