package circle

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/mesh/link"
)

// ownAddress is the reason for an address that is this node's own; nobody is told of it.
const ownAddress mesh.Reason = "self"

// A failure is why a candidate is not met; the zero value is that it is, or was not tried.
type failure struct {
	reason mesh.Reason
	err    error
	began  time.Time // to fail
	since  time.Time // for this reason
}

func (f *failure) note(reason mesh.Reason, err error, now time.Time) {
	if f.reason == "" {
		f.began = now
	}
	if f.reason != reason {
		f.since = now
	}
	f.reason, f.err = reason, err
}

// why says the reason for people.
func (f *failure) why() string {
	if why := f.reason.Why(); why != "" {
		return why
	}
	return f.err.Error()
}

// reasonOf is the kind of an error of meeting a node.
func reasonOf(err error) mesh.Reason {
	var version *link.ProtocolError
	var copied *link.CopyError
	var name *net.DNSError
	var op *net.OpError
	var notTLS tls.RecordHeaderError
	var slow net.Error
	switch {
	case errors.Is(err, link.ErrSelf):
		return ownAddress
	case errors.As(err, &version):
		return mesh.OtherVersion
	case errors.As(err, &copied):
		return mesh.Copied
	case errors.Is(err, errNamesake), errors.Is(err, link.ErrRefused):
		return mesh.NameTaken
	case errors.Is(err, key.ErrStranger), errors.As(err, &op) && op.Op == "remote error": // a TLS alert: it does not want this node's certificate
		return mesh.WrongKey
	case errors.As(err, &notTLS):
		return mesh.NoNode
	case errors.As(err, &name):
		return mesh.UnknownHost
	case errors.Is(err, syscall.ECONNREFUSED):
		return mesh.ConnectionRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return mesh.NoRoute
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return mesh.NoAnswer
	}
	return mesh.Failed
}
