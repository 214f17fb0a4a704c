package cluster

import (
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// What the server's errors are called by number.
const (
	codeNoPeers     jetstream.ErrorCode = 10005
	codeUnavailable jetstream.ErrorCode = 10008
	codeNotClusterd jetstream.ErrorCode = 10074
	codeWrongLast   jetstream.ErrorCode = 10071
)

// isCode tells whether err is the server's error with this number.
func isCode(err error, codes ...jetstream.ErrorCode) bool {
	var api jetstream.JetStreamError
	if !errors.As(err, &api) || api.APIError() == nil {
		return false
	}
	for _, c := range codes {
		if api.APIError().ErrorCode == c {
			return true
		}
	}
	return false
}

// isFull tells whether err says that a limit of the cluster is reached: of
// memory, storage, streams or messages, of the servers or of the account.
func isFull(err error) bool {
	return isCode(err, 10002, 10023, 10027, 10028, 10047, 10077, 10110, 10120, 10122)
}
