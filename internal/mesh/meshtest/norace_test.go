//go:build !race

package meshtest_test

// many is how many nodes the larger simulation has.
const many = 100
