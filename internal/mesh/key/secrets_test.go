package key

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/recap/pumpkin/packet"
)

// TestSecretsStay holds what is derived to what nodes in the field derive.
func TestSecretsStay(t *testing.T) {
	var k Key
	s := k.Group("default")
	mac := s.MAC([]byte("x"))
	for _, c := range []struct{ what, got, want string }{
		{"fingerprint", s.Fingerprint(), "e20738bed8c1181b"},
		{"token", s.Token(), "f4n3u6otf3ypgbimgf7ryyah4zh2pdjs"},
		{"MAC", hex.EncodeToString(mac[:]), "92b68d95f5392567879b69aa646ec625"},
		{"authority", hex.EncodeToString(s.authority.Seed()), "c781a905c811bacc321f855f9c770c24f26d013b6886ca1d4d2e77bdf49168ca"},
	} {
		if c.got != c.want {
			t.Errorf("%s %s; expected %s", c.what, c.got, c.want)
		}
	}
	if err := packet.CheckName("folder", s.Fingerprint()); err != nil || len(s.Fingerprint()) != 16 {
		t.Errorf("fingerprint %q: %v; expected 16 digits that name a folder", s.Fingerprint(), err)
	}
}

func TestStrangers(t *testing.T) {
	k := New()
	a, again := k.Group("a"), k.Group("a")
	message := []byte("a message")
	mac := a.MAC(message)
	if a.Fingerprint() != again.Fingerprint() || a.Token() != again.Token() || !again.Verify(message, mac[:]) || !a.certificate.Equal(again.certificate) {
		t.Error("the same key and group give other secrets the second time")
	}
	for name, b := range map[string]*Secrets{"another group": k.Group("b"), "no group": k.Group(""), "another key": New().Group("a")} {
		if a.Fingerprint() == b.Fingerprint() || a.Token() == b.Token() || b.Verify(message, mac[:]) || a.authority.Equal(b.authority) {
			t.Errorf("%s shares secrets", name)
		}
	}
	for name, wrong := range map[string][]byte{"empty": nil, "short": mac[:15], "long": append(mac[:], 0), "changed": flip(mac)} {
		if a.Verify(message, wrong) {
			t.Errorf("a MAC that is %s counts", name)
		}
	}
}

func flip(mac [MACSize]byte) []byte {
	wrong := slices.Clone(mac[:])
	wrong[15] ^= 1
	return wrong
}
