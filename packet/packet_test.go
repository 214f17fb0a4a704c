package packet

import (
	"strings"
	"testing"
)

func TestShipText(t *testing.T) {
	ship := Ship{Root: HashID("root"), Node: "slimme-783d9470"}
	text, err := ship.MarshalText()
	if err != nil || string(text) != ship.String() {
		t.Fatalf("wrote %q, %v", text, err)
	}
	var read Ship
	if err := read.UnmarshalText(text); err != nil || read != ship {
		t.Errorf("read %v, %v; expected %v", read, err, ship)
	}
	for _, bad := range []string{"", "node", "node:12", "node:" + strings.Repeat("x", 32)} {
		if err := read.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, read)
		}
	}
}
