package dtn

import (
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// nearest is the state of among that s was perhaps meant to be, "" for none.
func nearest(s packet.State, among []packet.State) packet.State {
	near, _ := seed.Nearest(string(s), texts(among))
	return packet.State(near)
}

func texts[T ~string](names []T) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}
