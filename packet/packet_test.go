package packet

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// TestPacketSize: a copy of another size is slower.
func TestPacketSize(t *testing.T) {
	if n := unsafe.Sizeof(Packet{}); n%16 != 0 || n > 128 {
		t.Errorf("a Packet has %d bytes; expected a multiple of 16, at most 128", n)
	}
}

func TestInherit(t *testing.T) {
	parent := &Extra{ShipName: "s", Attributes: Attributes{"sample": "S07", "lane": "1"}, Families: []Family{{State: "A:A"}}}
	if got, err := parent.Inherit(nil); got != parent || err != nil {
		t.Errorf("nothing set gives %+v, %v", got, err)
	}
	set := Attributes{"lane": "2", "read": "x"}
	got, err := parent.Inherit(set)
	want := &Extra{ShipName: "s", Attributes: Attributes{"sample": "S07", "lane": "2", "read": "x"}, Families: parent.Families}
	if err != nil || !reflect.DeepEqual(got, want) || parent.Attributes["lane"] != "1" {
		t.Errorf("set gives %+v, %v; the parent is %+v", got, err, parent)
	}
	if set["lane"] = "3"; got.Attributes["lane"] != "2" {
		t.Error("what was set is kept")
	}
	var none *Extra
	if got, err := none.Inherit(nil); got != nil || err != nil {
		t.Errorf("nothing of nothing gives %+v, %v", got, err)
	}
	if got, err := none.NextRound().NextRound().Inherit(nil); got != nil || err != nil {
		t.Errorf("an output has the round of its part: %+v, %v", got, err)
	}
	if got, err := none.Inherit(Attributes{"Sample": ""}); err == nil {
		t.Errorf("a wrong name gives %+v", got)
	}
	many := Attributes{}
	for c := 'a'; c <= 'z'; c++ {
		many[strings.Repeat(string(c), 3)] = strings.Repeat("x", 500)
	}
	if _, err := (&Extra{Attributes: many}).Inherit(Attributes{"one_more": strings.Repeat("x", 4000)}); err == nil {
		t.Error("together they have more bytes than are allowed")
	}
}

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
