package local

import "testing"

func TestCheckUser(t *testing.T) {
	for _, c := range []struct {
		peer, own int
		ok        bool
	}{{1000, 1000, true}, {0, 1000, true}, {1001, 1000, false}, {1000, 0, false}} {
		if err := checkUser(c.peer, c.own); (err == nil) != c.ok {
			t.Errorf("user %d at the socket of %d: %v; expected ok %v", c.peer, c.own, err, c.ok)
		}
	}
}
