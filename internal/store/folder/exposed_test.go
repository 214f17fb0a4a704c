package folder

import (
	"os"
	"strings"
	"testing"
)

// A folder that others can write is named with the command that mends it; one that they can
// only list is not, since what is in it is closed.
func TestExposed(t *testing.T) {
	dir := t.TempDir()
	for mode, exposed := range map[os.FileMode]bool{0o700: false, 0o755: false, 0o775: true, 0o777: true, 0o702: true} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		warning := Exposed(dir)
		if (warning != "") != exposed || exposed && !strings.HasSuffix(warning, "chmod go-w "+dir) {
			t.Errorf("mode %04o: %q", mode, warning)
		}
	}
}
