package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/node"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", Short: "Make the key that the nodes of a network share",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keyNewCommand(), a.keyTokenCommand())
	return cmd
}

func (a *app) keyNewCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "new",
		Short:   "Print a new key",
		Long:    "Print a new key. A node that has the key is in the network; all others are not.",
		Example: "  (umask 077; pmk key new > lan.key)\n  pmk --key lan.key",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			text := key.New().Text()
			if asJSON {
				return printJSON(a.out, map[string]string{"key": text})
			}
			_, err := fmt.Fprintf(a.out, "# The key of a Pumpkin network. Whoever has it is in: keep it secret.\n%s\n", text)
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) keyTokenCommand() *cobra.Command {
	var f meshFlags
	group := node.DefaultGroup
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print the token of the web page of a network with a key",
		Long: `Print the token of the web page of a node that other machines reach (--http
HOST:PORT). It is derived from the key; keep it as secret as the key.`,
		Example: "  pmk key token --key lan.key",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			k, err := f.read(newLog(a.err, false))
			if err != nil {
				return err
			}
			if k == nil {
				return usageError{errors.New("there is no key: say --key FILE, or set PUMPKIN_KEY")}
			}
			token := k.Group(group).Token()
			if asJSON {
				return printJSON(a.out, map[string]string{"token": token})
			}
			_, err = fmt.Fprintln(a.out, token)
			return err
		},
	}
	cmd.Flags().StringVar(&f.key, "key", "", "the key of the network, in this `FILE` (or PUMPKIN_KEY in the environment, which may be the key itself)")
	cmd.Flags().Var((*nameFlag)(&group), "group", "the group that the node belongs to")
	jsonFlag(cmd, &asJSON)
	return cmd
}
