package key

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An end is what one end of a connection saw.
type end struct {
	state tls.ConnectionState
	err   error
}

// meet connects the two over TCP and sends a byte each way. In TLS 1.3 a client is
// through before the server has looked at it, so only the byte shows that both
// agree.
func meet(t *testing.T, server, client *tls.Config) (atServer, atClient end) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan end)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			served <- end{err: err}
			return
		}
		served <- talk(tls.Server(conn, server), conn)
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	atClient = talk(tls.Client(conn, client), conn)
	return <-served, atClient
}

func talk(secure *tls.Conn, conn net.Conn) end {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return end{err: err}
	}
	err := secure.Handshake()
	if err == nil {
		_, err = secure.Write([]byte{1})
	}
	if err == nil {
		_, err = io.ReadFull(secure, make([]byte, 1))
	}
	return end{secure.ConnectionState(), err}
}

func sides(t *testing.T, s *Secrets, node string) *TLS {
	t.Helper()
	both, err := s.TLS(node)
	if err != nil {
		t.Fatal(err)
	}
	return both
}

func TestTLS(t *testing.T) {
	k := New()
	s := k.Group("default")
	a, b := sides(t, s, "alpha"), sides(t, k.Group("default"), "beta")
	atServer, atClient := meet(t, a.Server, b.Client)
	if atServer.err != nil || atClient.err != nil {
		t.Fatalf("server %v, client %v; expected both to talk", atServer.err, atClient.err)
	}
	for want, seen := range map[string]end{"beta": atServer, "alpha": atClient} {
		name, err := s.PeerName(seen.state)
		if err != nil || name != want {
			t.Errorf("the other end is %q, error %v; expected %s", name, err, want)
		}
		if seen.state.Version != tls.VersionTLS13 || seen.state.NegotiatedProtocol != "h2" || seen.state.DidResume {
			t.Errorf("it speaks %s and %q, resumed %v; expected TLS 1.3 and h2", tls.VersionName(seen.state.Version), seen.state.NegotiatedProtocol, seen.state.DidResume)
		}
		if _, err := New().Group("default").PeerName(seen.state); !errors.Is(err, ErrStranger) {
			t.Errorf("error %v by another key; expected ErrStranger", err)
		}
	}
	if _, err := s.PeerName(tls.ConnectionState{}); !errors.Is(err, ErrStranger) {
		t.Errorf("error %v of no connection; expected ErrStranger", err)
	}
	if _, err := s.TLS("no name"); err == nil {
		t.Error("a node was named with a blank")
	}
}

// TestRefused has each kind of stranger at either end. Who has the key refuses it
// in the handshake, and a client shows a stranger nothing of itself.
func TestRefused(t *testing.T) {
	k := New()
	own := sides(t, k.Group("default"), "own")
	for name, stranger := range strangers(t, k) {
		t.Run("client with "+name, func(t *testing.T) {
			atServer, atClient := meet(t, own.Server, stranger.Client)
			if atServer.err == nil || atClient.err == nil || atServer.state.HandshakeComplete {
				t.Errorf("server %v, client %v; expected the server to refuse", atServer.err, atClient.err)
			}
		})
		t.Run("server with "+name, func(t *testing.T) {
			atServer, atClient := meet(t, stranger.Server, own.Client)
			if atServer.err == nil || atClient.err == nil || atClient.state.HandshakeComplete {
				t.Errorf("server %v, client %v; expected the client to refuse", atServer.err, atClient.err)
			}
			if len(atServer.state.PeerCertificates) > 0 {
				t.Errorf("a server that is not trusted was shown %s", atServer.state.PeerCertificates[0].Subject)
			}
		})
	}
}

func strangers(t *testing.T, k Key) map[string]*TLS {
	t.Helper()
	all := map[string]*TLS{
		"another key":   sides(t, New().Group("default"), "own"),
		"another group": sides(t, k.Group("other"), "own"),
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// By its words it comes from the right authority.
	forge := func(template *x509.Certificate) *TLS {
		template.NotBefore, template.NotAfter = always().from, always().to
		template.SerialNumber = big.NewInt(1)
		parent := *template
		parent.Subject = pkix.Name{CommonName: authorityName}
		parent.IsCA, parent.BasicConstraintsValid = true, true
		der, err := x509.CreateCertificate(nil, template, &parent, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		return lax(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private})
	}
	all["a forged certificate"] = forge(&x509.Certificate{Subject: pkix.Name{CommonName: "own"}})
	all["a self-signed certificate"] = forge(&x509.Certificate{Subject: pkix.Name{CommonName: authorityName}, IsCA: true, BasicConstraintsValid: true})
	all["no certificate"] = lax()
	old := sides(t, k.Group("default"), "own")
	for _, c := range []*tls.Config{old.Server, old.Client} {
		c.MinVersion, c.MaxVersion, c.VerifyConnection = tls.VersionTLS12, tls.VersionTLS12, nil
	}
	all["TLS 1.2"] = old
	other := sides(t, k.Group("default"), "own")
	other.Server.NextProtos, other.Client.NextProtos = []string{"http/1.1"}, []string{"http/1.1"}
	all["another protocol within"] = other
	return all
}

// lax takes whoever comes.
func lax(certs ...tls.Certificate) *TLS {
	c := &tls.Config{Certificates: certs, InsecureSkipVerify: true, NextProtos: []string{"h2"}, ClientAuth: tls.RequestClientCert}
	return &TLS{Server: c, Client: c}
}

// TestPlain has ends that do not speak TLS.
func TestPlain(t *testing.T) {
	own := sides(t, New().Group("default"), "own")
	for _, said := range []string{"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", strings.Repeat("\x00", 4096), "\x16\x03\x01\xff\xff" + strings.Repeat("\xff", 70000)} {
		for name, end := range map[string]func(net.Conn) *tls.Conn{
			"server": func(c net.Conn) *tls.Conn { return tls.Server(c, own.Server) },
			"client": func(c net.Conn) *tls.Conn { return tls.Client(c, own.Client) },
		} {
			here, there := net.Pipe()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				var heard sync.WaitGroup
				heard.Go(func() { _, _ = io.Copy(io.Discard, there) }) // both end with the pipe
				_, _ = there.Write([]byte(said))
				there.Close()
				heard.Wait()
			}()
			if got := talk(end(here), here); got.err == nil || got.state.HandshakeComplete {
				t.Errorf("a %s went on after %q: %v", name, said[:5], got.err)
			}
			<-sent
		}
	}
}

// TestClocks has nodes whose clocks are 60 years apart.
func TestClocks(t *testing.T) {
	s := New().Group("default")
	type clock struct {
		now  time.Time
		both *TLS
	}
	var clocks []clock
	add := func() { clocks = append(clocks, clock{time.Now(), sides(t, s, "node")}) }
	add()
	synctest.Test(t, func(*testing.T) {
		add() // this clock begins with the year 2000
		time.Sleep(60 * 365 * 24 * time.Hour)
		add()
	})
	for _, a := range clocks {
		for _, b := range clocks {
			server, client := a.both.Server.Clone(), b.both.Client.Clone()
			server.Time, client.Time = func() time.Time { return a.now }, func() time.Time { return b.now }
			if atServer, atClient := meet(t, server, client); atServer.err != nil || atClient.err != nil {
				t.Errorf("server in %d: %v; client in %d: %v", a.now.Year(), atServer.err, b.now.Year(), atClient.err)
			}
		}
	}
	if first, last := clocks[1].now, clocks[2].now; last.Sub(first) < 30*365*24*time.Hour {
		t.Errorf("the clocks say %v and %v; expected 30 years between them", first, last)
	}
}
