// Package spanstest is a receiver of OpenTelemetry's spans for tests.
package spanstest

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A Receiver takes spans by OTLP over HTTP.
type Receiver struct {
	// URL is what OTEL_EXPORTER_OTLP_ENDPOINT has to be.
	URL string

	t        testing.TB
	mu       sync.Mutex
	refusing bool
	requests int
	spans    []Span
}

// A Span is one that came.
type Span struct {
	Name, Trace, ID, Parent string // ids in hexadecimal digits
	Failed                  string
	Begin, End              uint64            // in nanoseconds since 1970
	Attributes              map[string]string // texts, and numbers in digits
	Service                 string
}

// Receive starts a receiver that ends with the test.
func Receive(t testing.TB) *Receiver {
	r := &Receiver{t: t}
	server := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// Refuse says whether the receiver answers with an error from now on.
func (r *Receiver) Refuse(refuse bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusing = refuse
}

// Requests counts those that came, refused ones included.
func (r *Receiver) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// Spans are those that came so far.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.refusing {
		http.Error(w, "not now", http.StatusBadRequest)
		return
	}
	body := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			r.t.Error(err)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &in)
	}
	if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
		r.t.Errorf("a request to %s of %s: %v", req.URL.Path, req.Header.Get("Content-Type"), err)
	}
	for _, of := range in.GetResourceSpans() {
		service := ""
		for _, kv := range of.GetResource().GetAttributes() {
			if kv.GetKey() == "service.name" {
				service = kv.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, read(s, service))
			}
		}
	}
}

func read(s *tracepb.Span, service string) Span {
	out := Span{
		Name: s.GetName(), Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Begin: s.GetStartTimeUnixNano(), End: s.GetEndTimeUnixNano(), Attributes: map[string]string{}, Service: service,
	}
	if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		out.Failed = s.GetStatus().GetMessage()
	}
	for _, kv := range s.GetAttributes() {
		text := kv.GetValue().GetStringValue()
		if text == "" {
			text = kv.GetValue().String()
		}
		out.Attributes[kv.GetKey()] = text
	}
	return out
}
