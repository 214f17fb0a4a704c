package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
)

// refused sees that the store does not open, and that the error names the server
// and what to do.
func refused(t *testing.T, cfg Config, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	s, err := Open(ctx, cfg)
	if err == nil {
		s.Close()
		t.Fatalf("the store opens; expected an error with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q; expected it to hold %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows a password: %v", err)
	}
}

// works sees that the store opens and keeps a frame.
func works(t *testing.T, cfg Config) {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := appendTo(t.Context(), s, greet, store.Frame{Data: []byte("x"), Packets: 1}); err != nil {
		t.Error(err)
	}
	if strings.Contains(s.At(), "secret") {
		t.Errorf("the address shows a password: %s", s.At())
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	url := fmt.Sprintf("nats://127.0.0.1:%d", testenv.FreePort(t))
	refused(t, Config{URLs: []string{url}}, url, "no server answers there")
	refused(t, Config{}, "name one, such as nats://")
}

func TestNoJetStream(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, func(o *server.Options) { o.JetStream = false })
	refused(t, Config{URLs: c.urls()}, c.url(), "has no JetStream", "-js")
}

func TestSmallMessages(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	refused(t, Config{URLs: c.urls()}, c.url(), "max_payload")
}

// as is the server's address with a user and a password.
func as(c *servers, user, password string) []string {
	return []string{strings.Replace(c.urls()[0], "://", "://"+user+":"+password+"@", 1)}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, func(o *server.Options) { o.Username, o.Password = "pmk", "secret" })
	refused(t, Config{URLs: c.urls()}, c.url(), "does not know this user", "credentials file")
	refused(t, Config{URLs: as(c, "pmk", "secretive")}, "does not know this user")
	works(t, Config{URLs: as(c, "pmk", "secret")})
}

func TestNoPermission(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "pmk", Password: "secret", Permissions: permit("$JS.API.>", "$JS.ACK.>", "$KV.>", "$O.>", "pmk.>", "pmkmesh.>", "_INBOX.>")},
			{Username: "guest", Password: "secret", Permissions: permit("pmk.>", "_INBOX.>")},
		}
	})
	refused(t, Config{URLs: as(c, "guest", "secret")}, "127.0.0.1", "$JS.API.", "give this user the right")
	works(t, Config{URLs: as(c, "pmk", "secret")})
}

// permit allows to publish to some subjects, and to subscribe to all.
func permit(subjects ...string) *server.Permissions {
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: subjects}}
}

func TestMissingFiles(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	missing := filepath.Join(t.TempDir(), "none")
	refused(t, Config{URLs: c.urls(), Creds: missing}, missing)
	refused(t, Config{URLs: c.urls(), TLS: TLS{CA: missing}}, missing)
}

// An issuer makes certificates.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{cert, key, writePEM(t, "CERTIFICATE", der)}
}

// issue makes a certificate for the loopback address, and files of it and its
// key.
func (is *issuer) issue(t *testing.T) (cert, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, is.cert, &own.PublicKey, is.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", secret)
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "*.pem")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := pem.Encode(file, &pem.Block{Type: kind, Bytes: der}); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := newIssuer(t), newIssuer(t)
	cert, key := ours.issue(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	c := startServers(t, 1, func(o *server.Options) {
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
	})
	own, ownKey := ours.issue(t)
	refused(t, Config{URLs: c.urls(), TLS: TLS{CA: others.file, Cert: own, Key: ownKey}}, "x509", "name the authority")
	refused(t, Config{URLs: c.urls(), TLS: TLS{CA: ours.file}}, "127.0.0.1", "certificate")
	refused(t, Config{URLs: c.urls(), TLS: TLS{CA: ours.file, Cert: own}}, "belong together")
	works(t, Config{URLs: c.urls(), TLS: TLS{CA: ours.file, Cert: own, Key: ownKey}})
}
