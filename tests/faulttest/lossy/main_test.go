//go:build linux

package lossy

import (
	"os"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
)

func TestMain(m *testing.M) {
	Main()
	testenv.Apart()
	os.Exit(m.Run())
}
