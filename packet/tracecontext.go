package packet

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// A TraceContext says where in a trace a packet belongs, as the W3C's Trace
// Context has it: the span that gave the packet, or that sent it. The zero value
// is none.
type TraceContext struct {
	Trace [16]byte
	Span  [8]byte
	// Flags are those of version 00: bit 0 says that the trace is recorded.
	Flags byte
}

// traceSampled is the flag of a trace that is recorded.
const traceSampled = 1

// IsZero tells whether there is no trace.
func (c TraceContext) IsZero() bool { return c == TraceContext{} }

// Sampled tells whether the trace is recorded.
func (c TraceContext) Sampled() bool { return c.Flags&traceSampled != 0 }

// String is the context as a traceparent, and "" for none.
func (c TraceContext) String() string {
	if c.IsZero() {
		return ""
	}
	return fmt.Sprintf("00-%x-%x-%02x", c.Trace[:], c.Span[:], c.Flags)
}

// ParseTraceparent reads a traceparent: 00-TRACE-SPAN-FLAGS in lower-case
// hexadecimal digits. Of a later version, what follows them is left alone.
func ParseTraceparent(s string) (TraceContext, error) {
	var c TraceContext
	bad := func(why string) (TraceContext, error) {
		return TraceContext{}, fmt.Errorf("traceparent %q: %s; expected 00-, 32 hexadecimal digits, -, 16, -, 2", s, why)
	}
	const whole = 2 + 1 + 32 + 1 + 16 + 1 + 2
	switch {
	case len(s) < whole || len(s) > 512:
		return bad(fmt.Sprintf("it has %d characters", len(s)))
	case s[2] != '-' || s[35] != '-' || s[52] != '-':
		return bad("its parts are not set apart by -")
	case strings.ToLower(s[:whole]) != s[:whole]:
		return bad("it has capital letters")
	case s[:2] == "00" && len(s) != whole, len(s) > whole && s[whole] != '-':
		return bad("something follows it")
	case s[:2] == "ff":
		return bad("there is no version ff")
	}
	var version, flags [1]byte
	for _, part := range []struct {
		into []byte
		text string
	}{{version[:], s[:2]}, {c.Trace[:], s[3:35]}, {c.Span[:], s[36:52]}, {flags[:], s[53:55]}} {
		if _, err := hex.Decode(part.into, []byte(part.text)); err != nil {
			return bad(err.Error())
		}
	}
	if c.Trace == ([16]byte{}) || c.Span == ([8]byte{}) {
		return bad("a part of it is all zeros")
	}
	c.Flags = flags[0] & traceSampled // the only one that is known
	return c, nil
}
