package key

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"testing"
)

// TestPage: who has the certificate reaches the page by each of its names, and the
// certificate stays the same.
func TestPage(t *testing.T) {
	var k Key
	public, err := k.Group("default").page.PublicKey.Bytes()
	if err != nil || hex.EncodeToString(public[:8]) != "0472b0d2ce475d3d" { // of what nodes in the field have
		t.Errorf("the public key is %x, %v", public, err)
	}
	names, addresses := []string{"localhost", "server"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	p, err := k.Group("default").Page(names, addresses)
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.Group("default").Page(names, addresses)
	if err != nil || again.Fingerprint != p.Fingerprint || len(p.Fingerprint) != 32*3-1 {
		t.Errorf("the certificate is %s, and the second time %s, %v", p.Fingerprint, again.Fingerprint, err)
	}
	if other, err := k.Group("other").Page(names, addresses); err != nil || other.Fingerprint == p.Fingerprint {
		t.Errorf("another group has the certificate %s, %v", other.Fingerprint, err)
	}
	cert, err := x509.ParseCertificate(p.TLS.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	for _, host := range []string{"localhost", "server", "127.0.0.1", "::1"} {
		here, there := net.Pipe()
		done := make(chan error, 1)
		go func() {
			c := tls.Server(there, p.TLS)
			err := c.HandshakeContext(t.Context())
			there.Close()
			done <- err
		}()
		c := tls.Client(here, &tls.Config{RootCAs: roots, ServerName: host})
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		here.Close()
		if err := <-done; err != nil {
			t.Errorf("%s, the server: %v", host, err)
		}
	}
}
