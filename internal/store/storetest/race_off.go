//go:build !race

package storetest

// raceDetector tells that memory and time are not what they are without it.
const raceDetector = false
