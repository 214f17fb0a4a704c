package inject

import (
	"errors"

	"github.com/recap/pumpkin/packet"
)

// parse reads a .pkt file.
func parse(name, text string) ([]packet.Packet, error) {
	return nil, errors.New("TODO")
}
