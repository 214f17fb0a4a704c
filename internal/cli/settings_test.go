package cli

import (
	"maps"
	"slices"
	"strings"
	"testing"
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
