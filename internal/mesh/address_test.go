package mesh

import (
	"strings"
	"testing"
)

func TestCheckAddress(t *testing.T) {
	for _, good := range []string{"10.0.0.1:7900", "[2001:db8::1]:7900", "node-1.example.org:1", "pmk_0:65535", "127.0.0.1:17900"} {
		if err := CheckAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, wrong := range []string{
		"", "nowhere", ":7900", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:http", "0.0.0.0:7900", "[::]:7900",
		"224.0.0.1:7900", "[fe80::1]:7900", "[fe80::1%eth0]:7900", "a b:1", "a\x1b[31m:1", "ä:1", "a,b:1", strings.Repeat("a", MaxAddress) + ":1",
	} {
		if CheckAddress(wrong) == nil {
			t.Errorf("%q was not refused", wrong)
		}
	}
	if CheckAddresses(strings.Split("a:1 b:1 c:1 d:1", " ")) != nil || CheckAddresses(strings.Split("a:1 b:1 c:1 d:1 e:1", " ")) == nil {
		t.Errorf("%d addresses are allowed", MaxAddresses)
	}
}
