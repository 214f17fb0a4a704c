package cli

import (
	"os"

	"github.com/recap/pumpkin/internal/node"
)

func newNodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return node.NewName(host)
}
