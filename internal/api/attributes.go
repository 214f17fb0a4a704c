package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// attributeHeader is what the names of the headers begin with that say a packet's attributes
// where the body is its data: Pmk-Attr-Sample-Id for sample_id. Their values are
// percent-encoded (RFC 3986), since a header holds little more than ASCII.
const attributeHeader = "Pmk-Attr-"

// WriteAttributes says attributes in headers.
func WriteAttributes(h http.Header, attributes packet.Attributes) {
	for name, value := range attributes {
		h.Set(attributeHeader+strings.ReplaceAll(name, "_", "-"), url.PathEscape(value))
	}
}

// ReadAttributes reads the attributes that headers say, within the rules of
// [packet.Attributes]; nil is none.
func ReadAttributes(h http.Header) (packet.Attributes, error) {
	var out packet.Attributes
	for header, values := range h {
		name, ok := strings.CutPrefix(header, attributeHeader)
		if !ok {
			continue
		}
		name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
		if len(values) > 1 {
			return nil, fmt.Errorf("%d headers %s%s; expected one", len(values), attributeHeader, name)
		}
		value, err := url.PathUnescape(values[0])
		if err != nil {
			return nil, fmt.Errorf("the header %s is not percent-encoded: %w", header, err)
		}
		if out == nil {
			out = packet.Attributes{}
		}
		out[name] = value
	}
	return out, out.Check()
}
