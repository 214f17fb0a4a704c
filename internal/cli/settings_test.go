package cli

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/mesh/key"
)

// TestMeaningless: what the command line says leaves some variables no meaning; others set
// their flags.
func TestMeaningless(t *testing.T) {
	cluster := settings{"PUMPKIN_STORE": "nats://h:4222", "PUMPKIN_STORE_CREDS": "c", "PUMPKIN_GROUP": "lab"}
	apart := settings{"PUMPKIN_DATA": "d", "PUMPKIN_KEY": "pumpkin-key-1-x", "PUMPKIN_JOIN": "h:1", "PUMPKIN_GROUP": "lab"}
	for _, c := range []struct {
		line string
		env  settings
		want string
	}{
		{"", cluster, "group store store-creds"},
		{"--data d", cluster, "group"},
		{"--durability none", cluster, "group"},
		{"--durability disk", cluster, "group store store-creds"},
		{"--join h:1", cluster, "group"},
		{"--store-creds other", cluster, "group store"},
		{"", apart, "data group join key"},
		{"--durability memory", apart, "group join key"},
		{"--durability disk", apart, "data group join key"},
		{"--store nats://h:4222", apart, "group"},
		{"--data e", settings{"PUMPKIN_DURABILITY": "memory"}, ""},
	} {
		cmd := (&app{}).runCommand()
		if err := cmd.ParseFlags(strings.Fields(c.line)); err != nil {
			t.Fatal(err)
		}
		before := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(c.env)) {
			flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, settingPrefix), "_", "-"))
			before[flag] = cmd.Flags().Lookup(flag).Value.String()
		}
		if err := c.env.set(cmd); err != nil {
			t.Fatal(err)
		}
		var set []string
		for _, flag := range slices.Sorted(maps.Keys(before)) {
			if cmd.Flags().Lookup(flag).Value.String() != before[flag] {
				set = append(set, flag)
			}
		}
		if got := strings.Join(set, " "); got != c.want {
			t.Errorf("%q with %v: set %q, want %q", c.line, c.env, got, c.want)
		}
	}
}

// TestKeyVariable: what the variable holds is shown nowhere if it is no key and no file.
func TestKeyVariable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lan.key")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for value, refused := range map[string]bool{
		"": false, file: false, key.New().Text(): false, "pumpkinkey-1-hunter2secret": true, file + "/hunter2": true,
		strings.Repeat("hunter2", 1000): true, "hunter2\x00": true,
	} {
		t.Setenv(keyVariable, "")
		if !strings.Contains(value, "\x00") {
			t.Setenv(keyVariable, value)
			if _, err := (Embedded{}).flags(); (err != nil) != refused {
				t.Errorf("a node in a program: %v; expected an error: %v", err, refused)
			}
		}
		err := checkKeyVariable(value)
		if (err != nil) != refused || err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), keyVariable)) {
			t.Errorf("%v; expected an error without the value: %v", err, refused)
		}
	}
}
