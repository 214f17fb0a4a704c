//go:build !linux

package jetstream

import "testing"

func smallDisk(t *testing.T, _ int) string {
	t.Helper()
	t.Skip("no small disk on this system")
	return ""
}
