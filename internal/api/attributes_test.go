package api

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/recap/pumpkin/packet"
)

func TestAttributesInHeaders(t *testing.T) {
	for _, want := range []packet.Attributes{
		nil, {"sample": "S07"}, {"sample_id": "", "lane": "1"}, {"name": "Müller, 50 % \n\"x\"/y+z"}, {"a_1__": "%41"},
	} {
		h := http.Header{"Content-Type": {"text/plain"}}
		WriteAttributes(h, want)
		if got, err := ReadAttributes(h); err != nil || !maps.Equal(got, want) {
			t.Errorf("%v: read %v, %v, from %v", want, got, err, h)
		}
	}
	for header, why := range map[string]string{
		"Pmk-Attr-":     "name is empty",
		"Pmk-Attr-7":    "expected a lower-case letter",
		"Pmk-Attr-A.B":  "expected a lower-case letter",
		"Pmk-Attr-Good": "percent-encoded",
	} {
		if _, err := ReadAttributes(http.Header{header: {"100%"}}); why == "percent-encoded" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("%s: %v", header, err)
		}
		if _, err := ReadAttributes(http.Header{header: {"x"}}); why != "percent-encoded" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("%s: %v; expected %s", header, err, why)
		}
	}
	for name, values := range map[string][]string{
		"twice": {"a", "b"}, "too large": {strings.Repeat("x", packet.MaxAttributeBytes)}, "not UTF-8": {"%ff"}, "a byte 0": {"%00"},
	} {
		if got, err := ReadAttributes(http.Header{"Pmk-Attr-Sample": values}); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}
