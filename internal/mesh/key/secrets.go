package key

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
)

// MACSize is how long a MAC is, in bytes.
const MACSize = 16

// Secrets are what a key gives to one group. Each comes from the key by
// HKDF-SHA256 with a purpose and the group in its info, so that none tells of
// another, nor of the key, and groups that share a key are strangers.
type Secrets struct {
	fingerprint string
	token       string
	beacon      []byte
	authority   ed25519.PrivateKey
	certificate *x509.Certificate // of the authority
	roots       *x509.CertPool    // it alone
	page        *ecdsa.PrivateKey // of the web page's certificate
}

// Group is what the key gives to the group of that name.
func (k Key) Group(group string) *Secrets {
	s := &Secrets{
		fingerprint: hex.EncodeToString(k.derive("fingerprint", group, 8)),
		token:       encoding().EncodeToString(k.derive("token", group, 20)),
		beacon:      k.derive("beacon", group, 32),
		authority:   ed25519.NewKeyFromSeed(k.derive("authority", group, ed25519.SeedSize)),
		page:        newPage(k.derive("page", group, 48)),
	}
	s.certificate = newAuthority(s.authority)
	s.roots = x509.NewCertPool()
	s.roots.AddCert(s.certificate)
	return s
}

// derive gives length bytes for one purpose. No purpose holds a zero byte, so no
// two pairs of purpose and group run together.
func (k Key) derive(purpose, group string, length int) []byte {
	out, err := hkdf.Key(sha256.New, k.secret[:], nil, "pumpkin 1 "+purpose+"\x00"+group, length)
	if err != nil {
		panic(fmt.Sprintf("key: derive %d bytes: %v", length, err)) // only a length that is out of bounds
	}
	return out
}

// Fingerprint names the key and the group, in 16 hexadecimal digits, and tells
// nothing of the key.
func (s *Secrets) Fingerprint() string { return s.fingerprint }

// Token is what a person shows to the web page. It is as secret as the key is.
func (s *Secrets) Token() string { return s.token }

// MAC authenticates a message between the nodes that have the key: HMAC-SHA256,
// cut to [MACSize] bytes.
func (s *Secrets) MAC(message []byte) [MACSize]byte {
	h := hmac.New(sha256.New, s.beacon)
	h.Write(message)
	return [MACSize]byte(h.Sum(nil)[:MACSize])
}

// Verify tells whether mac is that of the message, and takes as long for every
// wrong one.
func (s *Secrets) Verify(message, mac []byte) bool {
	want := s.MAC(message)
	return hmac.Equal(want[:], mac)
}

// Format prints the fingerprint alone.
func (s *Secrets) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "secrets of key %s", s.fingerprint)
}
