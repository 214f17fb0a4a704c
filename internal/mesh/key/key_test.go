package key

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for range 100 {
		k := New()
		for _, text := range []string{
			k.Text(),
			"# the key of our network\n\n" + k.Text() + "\n",
			"\ufeff# made by an editor\r\n  " + k.Text() + " \r\n#end",
			strings.ToUpper(k.Text()),
		} {
			got, err := Parse(text)
			if err != nil || got != k {
				t.Fatalf("its text is not read as the key: %v", err)
			}
		}
	}
	if a, b := New(), New(); a == b {
		t.Error("two keys are the same")
	}
}

// TestTextStays holds the form to what keys in the field look like.
func TestTextStays(t *testing.T) {
	var k Key
	for i := range k.secret {
		k.secret[i] = byte(i)
	}
	const want = "pumpkin-key-1-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypyv6ks"
	if got := k.Text(); got != want {
		t.Errorf("text %s; expected %s", got, want)
	}
}

func TestParseErrors(t *testing.T) {
	k := New().Text()
	changed := []byte(k)
	if changed[30]++; changed[30] > 'z' || changed[30] < 'a' {
		changed[30] = 'a'
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "no key"},
		{"comments alone", "# here it was\n", "no key"},
		{"torn", "# a comment\n" + k[:40], "line 2 is a key with 26 characters after pumpkin-key-1-; expected 56"},
		{"too long", k + k[14:], "with 112 characters"},
		{"with something behind it", k + " # mine", "expected 56"},
		{"changed", string(changed), "line 1 is a key whose checksum does not fit"},
		{"a digit that no key has", k[:20] + "1" + k[21:], "character 7 after pumpkin-key-1- is none of a-z and 2-7"},
		{"a letter of another script", k[:20] + "é" + k[22:], "character 7 after"},
		{"another version", "pumpkin-key-2-abc", "is a key of version 2"},
		{"a version that is none", "pumpkin-key-x-abc", "is not a key; expected pumpkin-key-1-"},
		{"a file's name", "lan.key", "line 1 is not a key; expected pumpkin-key-1-"},
		{"two keys", k + "\n\n" + New().Text(), "line 3 comes after the key in line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v; expected %q in it", err, c.want)
			}
			if got != (Key{}) {
				t.Error("there is a key beside the error")
			}
			if shows(err.Error(), c.text) {
				t.Errorf("the error shows some of the text: %v", err)
			}
		})
	}
	if _, err := Parse(" \n"); !errors.Is(err, ErrNone) {
		t.Errorf("error %v of nothing; expected ErrNone", err)
	}
}

// shows tells whether there are eight characters of a key in what is said.
func shows(said, text string) bool {
	for line := range strings.Lines(text) {
		secret := strings.TrimPrefix(strings.TrimSpace(line), form+"-")
		for i := 0; i+8 <= len(secret); i++ {
			if part := secret[i : i+8]; !strings.Contains(form, part) && strings.Contains(said, part) {
				return true
			}
		}
	}
	return false
}

// TestEveryTypo changes each character of a key.
func TestEveryTypo(t *testing.T) {
	k := New().Text()
	for i := range k {
		for _, c := range []byte("abz257-# ") {
			wrong := k[:i] + string(c) + k[i+1:]
			// A first or last character less is another length; a # makes a comment.
			if got, err := Parse(wrong); err == nil && wrong != k {
				t.Errorf("character %d as %q went unnoticed, and gave a key that is the same: %v", i, c, got.Text() == k)
			}
		}
	}
}

// TestHidden prints keys in every way that a log might.
func TestHidden(t *testing.T) {
	k := New()
	s := k.Group("default")
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", k, &k, s)
		fmt.Fprintf(&out, verb+"\n", struct{ K Key }{k})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("a", "key", k, "secrets", s)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("a", "key", k, "secrets", s)
	text, err := json.Marshal(map[string]any{"key": k, "secrets": s})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, secret := range []string{k.Text()[len(form)+1:][:8], fmt.Sprintf("%x", k.secret[:4]), fmt.Sprintf("%X", k.secret[:4]), fmt.Sprint(k.secret[:4])[1:8], fmt.Sprintf("%x", s.beacon[:4]), s.Token()[:8]} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q shows in:\n%s", secret, out.String())
		}
	}
}

func FuzzParse(f *testing.F) {
	k := New().Text()
	for _, text := range []string{"", "#", k, "# x\n" + k + "\n", k[:50], "pumpkin-key-2-a", "pumpkin-key-1-", "\ufeff" + k, strings.ToUpper(k)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := Parse(text)
		if err != nil {
			if k != (Key{}) {
				t.Error("there is a key beside the error")
			}
			return
		}
		if !strings.Contains(strings.ToLower(text), k.Text()) {
			t.Errorf("the key's text %q is not in %q", k.Text(), text)
		}
	})
}
