package packet

import (
	"github.com/recap/pumpkin/internal/strict"
)

// ParseFile reads a .pkt file. Its errors are of type [*strict.Error] and name
// the line.
func ParseFile(data []byte) (File, error) {
	v, err := strict.Parse(data)
	if err != nil {
		return File{}, err
	}
	switch {
	case v.IsObject():
		return readFile(v)
	case v.IsList():
		return readClassic(v)
	}
	return File{}, v.Errorf("found %s; expected a packet, { } or the classic [header, ..., last]", v)
}
