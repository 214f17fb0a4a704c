package node

import "fmt"

// Durability says what a node's packets survive.
type Durability uint8

const (
	// None: packets that stay on the node do not pass through a store.
	None Durability = iota
	// Memory: they lie in a store in memory and survive the crash of a seed.
	Memory
	// Disk: they lie in a store on disk and survive a power cut.
	Disk
)

var durabilities = [...]string{None: "none", Memory: "memory", Disk: "disk"}

func (d Durability) String() string { return durabilities[d] }

// Set reads what String writes.
func (d *Durability) Set(s string) error {
	for i, name := range durabilities {
		if s == name {
			*d = Durability(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a durability; expected disk, memory or none", s)
}

// Type names the values of a flag.
func (*Durability) Type() string { return "disk|memory|none" }

// InCluster is the durability of a store that all nodes share: that of the
// cluster.
const InCluster = "cluster"
