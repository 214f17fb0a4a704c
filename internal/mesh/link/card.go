package link

import (
	"fmt"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// checkSeed says what is wrong with the names in a manifest that came from
// outside. They become names of places, and are printed.
func checkSeed(m seed.Manifest) error {
	if err := packet.CheckName("seed's name", string(m.Name)); err != nil {
		return err
	}
	if m.Group != "" {
		if err := packet.CheckName("group", m.Group); err != nil {
			return fmt.Errorf("seed %s: %w", m.Name, err)
		}
	}
	for _, states := range [][]packet.State{m.Contract.In, m.Contract.Out} {
		for _, s := range states {
			if _, err := packet.ParseState(string(s)); err != nil {
				return fmt.Errorf("seed %s: %w", m.Name, err)
			}
		}
	}
	return nil
}
