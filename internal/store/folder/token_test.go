package folder

import (
	"os"
	"path/filepath"
	"testing"
)

func TestToken(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, TokenFile)
	token := func() string {
		t.Helper()
		text, err := Token(dir)
		if err != nil || len(text) != 26 {
			t.Fatalf("the token is %q, %v", text, err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
			t.Fatalf("its file: %v, %v", info.Mode(), err)
		}
		return text
	}
	first := token()
	if again := token(); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	for what, spoil := range map[string]func() error{
		"that others could read": func() error { return os.Chmod(path, 0o644) },
		"that is empty":          func() error { return os.WriteFile(path, nil, 0o600) },
		"that is another text":   func() error { return os.WriteFile(path, []byte("short"), 0o600) },
	} {
		before := token()
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if now := token(); now == before {
			t.Errorf("a token %s is still used", what)
		}
	}
	other := t.TempDir() + "/secret"
	if err := os.WriteFile(other, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	token() // in the link's place
	if text, err := os.ReadFile(other); err != nil || string(text) != first {
		t.Errorf("what a link led to is %q, %v", text, err)
	}
	if _, err := Token(filepath.Join(dir, "none")); err == nil {
		t.Error("a token was written into no folder")
	}
}
