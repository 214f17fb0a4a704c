package key

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/recap/pumpkin/packet"
)

// authorityName is the same for every key, so that it tells nothing.
const authorityName = "pumpkin"

// inside is what nodes speak within TLS: HTTP/2.
const inside = "h2"

// ErrStranger is the other end of a connection that has not shown that it has the
// key of this network and group.
var ErrStranger = errors.New("the other end does not have this network's key")

// TLS is both sides of mutual TLS 1.3, as one node speaks it. A node reaches
// others with Client and is reached by Server; each refuses in its handshake who
// has no certificate of the same authority. Certificates hold at every time: a
// clock that is off by years, on either side, changes nothing. The configurations
// are not to be changed; a clone may be.
type TLS struct {
	Server, Client *tls.Config
}

// TLS makes a certificate for the node of that name, with a private key that is
// drawn now and never leaves the memory.
//
// In TLS 1.3 a server shows its certificate first. So whoever connects to a node's
// port can read the node's name, with or without the key.
func (s *Secrets) TLS(node string) (*TLS, error) {
	if err := packet.CheckName("node", node); err != nil {
		return nil, err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw the key of node %s: %w", node, err)
	}
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] &= 0x7f // a serial number is positive
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: node},
		NotBefore:    always().from,
		NotAfter:     always().to,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, s.certificate, public, s.authority)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of node %s: %w", node, err)
	}
	base := &tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{inside},
		SessionTicketsDisabled: true,
		// Called in every handshake, whatever else was looked at.
		VerifyConnection: s.verify,
	}
	t := &TLS{Server: base, Client: base.Clone()}
	// VerifyConnection verifies, on both sides: the ways that come with the package
	// ask the clock, and for a host's name.
	t.Server.ClientAuth = tls.RequireAnyClientCert
	t.Client.InsecureSkipVerify = true
	return t, nil
}

// verify refuses, in a handshake, who is not a node of this network and group.
func (s *Secrets) verify(cs tls.ConnectionState) error {
	if _, err := s.PeerName(cs); err != nil {
		return err
	}
	// A client that names HTTP/1.1 alone, or nothing, would be let in without.
	if cs.NegotiatedProtocol != inside {
		return fmt.Errorf("the other end has agreed on %q within TLS; expected %s", cs.NegotiatedProtocol, inside)
	}
	return nil
}

// PeerName is the name of the node at the other end of a connection. It verifies
// it anew: what has no certificate of this network and group is [ErrStranger].
func (s *Secrets) PeerName(cs tls.ConnectionState) (string, error) {
	if cs.Version < tls.VersionTLS13 {
		return "", fmt.Errorf("%w: it speaks %s; expected TLS 1.3", ErrStranger, tls.VersionName(cs.Version))
	}
	if len(cs.PeerCertificates) == 0 {
		return "", fmt.Errorf("%w: it shows no certificate", ErrStranger)
	}
	leaf := cs.PeerCertificates[0]
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: s.roots, CurrentTime: always().verified, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return "", fmt.Errorf("%w: %w", ErrStranger, err)
	}
	if err := packet.CheckName("node", leaf.Subject.CommonName); err != nil {
		return "", fmt.Errorf("%w: its certificate is not that of a node: %w", ErrStranger, err)
	}
	return leaf.Subject.CommonName, nil
}

// newAuthority is the certificate of the authority: of the same key it is the
// same, byte by byte.
func newAuthority(private ed25519.PrivateKey) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: authorityName},
		NotBefore:             always().from,
		NotAfter:              always().to,
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
	}
	// An Ed25519 signature takes no random numbers.
	der, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	if err != nil {
		panic(fmt.Sprintf("key: make the certificate of the authority: %v", err)) // it depends on nothing from outside
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(fmt.Sprintf("key: read the certificate of the authority: %v", err))
	}
	return cert
}

// A span is when certificates hold, and a time in it at which all are verified.
type span struct {
	from, to, verified time.Time
}

// always has for its end the time that RFC 5280 gives to certificates without one.
func always() span {
	return span{
		from:     time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		to:       time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		verified: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}
