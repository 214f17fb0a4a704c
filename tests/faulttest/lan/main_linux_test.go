package lan

import (
	"os"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Apart()
	os.Exit(m.Run())
}
