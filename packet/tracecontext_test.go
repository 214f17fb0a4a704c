package packet

import "testing"

func TestTraceparent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	c, err := ParseTraceparent(good)
	if err != nil || c.String() != good || !c.Sampled() || c.IsZero() {
		t.Errorf("%s is read as %s, %v", good, c, err)
	}
	for text, want := range map[string]string{
		good[:53] + "00":          good[:53] + "00",
		good[:53] + "ff":          good,
		"cc" + good[2:] + "-what": good, // a later version
	} {
		if c, err := ParseTraceparent(text); err != nil || c.String() != want {
			t.Errorf("%s is read as %s, %v; expected %s", text, c, err, want)
		}
	}
	for _, text := range []string{
		"", "00", good[:54], good + "-what", "ff" + good[2:], "cc" + good[2:] + "what", "0x" + good[2:], good[:53] + "0g",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	} {
		if c, err := ParseTraceparent(text); err == nil || !c.IsZero() {
			t.Errorf("%q is read as %s", text, c)
		}
	}
	if s := (TraceContext{}).String(); s != "" {
		t.Errorf("none is written as %q", s)
	}
}
