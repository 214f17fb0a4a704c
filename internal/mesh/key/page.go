package key

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"strings"
)

// A Page is what a node's web page is served with to browsers, which have no
// certificate of their own.
type Page struct {
	TLS *tls.Config
	// Fingerprint is the SHA-256 of the certificate, as browsers show it.
	Fingerprint string
}

// Page makes the certificate of the web page, for these names and addresses of a
// node. It is self-signed, with a private key that comes from the network's key: the
// same on all nodes and at every start, so that whoever has accepted it for a node
// is not asked again. It is apart from the authority of the nodes, whose kind of
// key browsers do not take.
func (s *Secrets) Page(names []string, addresses []net.IP) (*Page, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: authorityName},
		DNSNames:     names,
		IPAddresses:  addresses,
		NotBefore:    always().from,
		NotAfter:     always().to,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	// Without random numbers the signature is that of RFC 6979, the same each time.
	der, err := x509.CreateCertificate(nil, template, template, s.page.Public(), s.page)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the web page: %w", err)
	}
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString(sum[i : i+1]))
	}
	return &Page{
		TLS: &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: s.page}},
			MinVersion:   tls.VersionTLS13,
		},
		Fingerprint: strings.Join(pairs, ":"),
	}, nil
}

// newPage is the private key of the web page: 48 bytes give a number below the order
// of the curve that is as good as drawn (FIPS 186-5, A.2.1).
func newPage(secret []byte) *ecdsa.PrivateKey {
	one := big.NewInt(1)
	below := new(big.Int).Sub(elliptic.P256().Params().N, one)
	d := new(big.Int).SetBytes(secret)
	d.Add(d.Mod(d, below), one)
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
	if err != nil {
		panic(fmt.Sprintf("key: the private key of the web page: %v", err)) // it is within the bounds
	}
	return private
}
