package dtn

import (
	"fmt"
)

// clashes are the seeds that share a name and should not: on one node, or on
// two with different contracts. A replica on another node is fine.
func (n *Network) clashes() []Finding {
	var found []Finding
	var first Hosted // of this name on this node
	for i, h := range n.hosted {
		at := n.seedAt[h.Manifest.Name]
		kept := n.transitions[at].contract
		second := i > 0 && first.Manifest.Name == h.Manifest.Name && first.Node == h.Node
		same := compareContract(h.Manifest.Contract, kept) == 0
		f := n.about(Duplicate, at)
		f.Severity = Error
		f.at(h)
		switch {
		case second:
			f.Text = fmt.Sprintf("%s is the name of two seeds on the node %s; the other is %s",
				h.Manifest.Name, h.Node, whence(first))
		case !same:
			f.Kind = Conflict
			f.Text = fmt.Sprintf("%s is %q on the node %s and %q on the node %s, which is the one that counts",
				h.Manifest.Name, h.Manifest.Contract, h.Node,
				kept, n.transitions[at].replicas[0].Node)
		}
		if f.Text != "" {
			found = append(found, f)
		}
		if !second {
			first = h
		}
	}
	return found
}

// whence is where a seed is declared.
func whence(h Hosted) string {
	if h.Manifest.File == "" {
		return "in the program"
	}
	return fmt.Sprintf("%s:%d", h.Manifest.File, h.Manifest.Line)
}
