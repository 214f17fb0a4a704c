package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/seed"
)

// A Program is what is compiled into the binary beside pmk itself.
type Program struct {
	// Seeds are Go seeds, in the order in which they were given.
	Seeds []GoSeed
	// Stock says that seeds named on the command line replace Seeds.
	Stock bool
}

// A GoSeed is a seed that is a function of the program.
type GoSeed struct {
	Manifest seed.Manifest
	Run      gofn.Func
}

// hosts are those of the program's seeds that a node with the seeds of paths hosts
// beside them.
func (p Program) hosts(paths []string) (ms []seed.Manifest) {
	if p.Stock && len(paths) > 0 {
		return nil
	}
	for _, s := range p.Seeds {
		ms = append(ms, s.Manifest)
	}
	return ms
}

// An app is one call of pmk.
type app struct {
	program  Program
	settings settings
	in       io.Reader
	out      io.Writer // results
	err      io.Writer // the log and errors

	// Of a node in another program, see [Embedded]; nil elsewhere.
	signals chan os.Signal   // the first lets what is in flight finish, the second ends it
	started func(*node.Node) // called once the node takes packets
}

// usage makes arguments that are wrong a usageError, which says how many of what
// kind are expected.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; expected: %s", err, cmd.UseLine())}
		}
		return nil
	}
}
