package pebble_test

import (
	"os"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Apart() // some tests mount disks
	os.Exit(m.Run())
}
