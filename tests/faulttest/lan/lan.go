// Package lan makes a small LAN for tests: two bridges that are joined, and hosts
// on them, each in a network namespace of its own. Cables can be pulled, the
// bridges be parted, and everything on the wire be looked at.
//
// The namespaces have no names on the machine: they are held by files that are
// mounted in the test's own mount namespace, see
// [github.com/recap/pumpkin/internal/testenv.Apart], and by the processes in them.
// So nothing of a LAN is left when its test has ended, however it has ended.
package lan

import "fmt"

// A Half is one of the two bridges of a LAN.
type Half int

// The halves of a LAN.
const (
	Left Half = iota
	Right
)

func (h Half) bridge() string { return fmt.Sprintf("br%d", h) }

// address is the address of the n-th host, with the length of the network's.
func address(n int) string { return fmt.Sprintf("10.77.0.%d/24", n) }

// Broadcast is the address that reaches every host of a LAN.
const Broadcast = "10.77.0.255"
