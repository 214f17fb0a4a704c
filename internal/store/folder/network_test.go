package folder

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNetworks keeps folders to their group, key and machine.
func TestNetworks(t *testing.T) {
	data := t.TempDir()
	find := func(me Node, want string) (said []string) {
		t.Helper()
		me.Name, me.Group = "one", "default"
		f, err := Find(t.Context(), data, me, func(why string) { said = append(said, why) })
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := filepath.Base(f.Dir); got != want {
			t.Errorf("%+v finds %s; expected %s (%q)", me, got, want, said)
		}
		files := filepath.Join(f.Dir, StoreDir)
		if err := os.MkdirAll(files, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(files, "000002.log"), []byte("packets, many of them"), 0o600); err != nil {
			t.Fatal(err)
		}
		return said
	}
	find(Node{}, "1") // of before a folder was told the key
	find(Node{Key: NoKey, Machine: "m"}, "1")
	if said := find(Node{Key: "aa", Machine: "m"}, "2"); len(said) != 1 || !strings.Contains(said[0], "1 belongs to nodes without a key, and this node has one: start it without --key") || !strings.Contains(said[0], "pmk store export ") {
		t.Errorf("said: %q", said)
	}
	if said := find(Node{Key: "bb", Machine: "m"}, "3"); len(said) != 1 || !strings.Contains(said[0], "(and 1 other folder)") {
		t.Errorf("said: %q", said)
	}
	if said := find(Node{Key: "aa", Machine: "n"}, "4"); len(said) != 1 {
		t.Errorf("said: %q", said)
	}
	find(Node{Key: "aa", Machine: "m"}, "2")
	find(Node{Key: NoKey, Machine: "m"}, "1")

	mine := filepath.Join(data, "default", "2")
	for _, c := range []struct {
		me   Node
		want string
	}{
		{Node{Group: "other"}, "belongs to the group default, this node to other: start it with --group default"},
		{Node{Group: "default", Key: "bb"}, "belongs to the network of the key aa, and this node's key is bb: start it with the other key"},
		{Node{Group: "default", Key: NoKey}, "belongs to the network of the key aa, and this node has no key: start it with --key FILE"},
	} {
		if _, err := Open(t.Context(), mine, c.me, nil); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--data DIR") {
			t.Errorf("%+v: %v; expected %q", c.me, err, c.want)
		}
	}
	// One that is named may have come from another machine.
	f, err := Open(t.Context(), mine, Node{Group: "default", Key: "aa", Machine: "n"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	find(Node{Key: "aa", Machine: "n"}, "2")
}
