package api

// The types of requests that mean something. Of any other a body is data.
const (
	// PacketType is one packet in JSON, a [Sending].
	PacketType = "application/vnd.pumpkin.packet+json"
	// LinesType is many of them.
	LinesType = "application/x-ndjson"
	// RawType is the data of one packet, as any other type would be.
	RawType = "application/octet-stream"
)

// ProblemType is the type of answers that are a [Problem].
const ProblemType = "application/problem+json"

const (
	// Prefer is the header (RFC 7240) that says how long a request waits while the node's store
	// takes nothing: "wait=60", in seconds.
	Prefer = "Prefer"
	// WaitLong is what a client prefers that can be ended by hand.
	WaitLong = "wait=315360000"
)
