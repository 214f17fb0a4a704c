//go:build race

package meshtest_test

// many is how many nodes the larger simulation has: the race detector makes each
// of them cost some ten times as much.
const many = 15
