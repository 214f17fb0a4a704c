package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/api"
)

// TestHowOftenItFailed: a count agrees with its noun, and a packet that no run of it
// failed on, as one that its node crashed on, has none.
func TestHowOftenItFailed(t *testing.T) {
	for attempts, want := range []string{"  was A:B, failed: boom\n", "  was A:B, failed after 1 attempt: boom\n", "  was A:B, failed after 2 attempts: boom\n"} {
		var out bytes.Buffer
		a := &app{out: &out}
		a.printPacket(&api.Packet{State: "Error:x", Fault: &api.Fault{State: "A:B", Error: "boom", Attempts: attempts}})
		if !strings.HasSuffix(out.String(), want) {
			t.Errorf("after %d attempts it says %q; expected %q at its end", attempts, out.String(), want)
		}
	}
}
