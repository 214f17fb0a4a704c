package cli

import (
	"errors"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/internal/store/cluster"
)

// secretFlags refuses secrets on the command line, where all users of the machine see them
// in the list of processes, and other programs in their records.
func secretFlags(cmd *cobra.Command) error {
	const seen = "users of this machine see the command line: "
	if f := cmd.Flags().Lookup("key"); f != nil && f.Changed && key.IsText(f.Value.String()) {
		return usageError{errors.New("--key takes a file, and this is a key: " + seen +
			"write it into a file of mode 0600 and name that, or have it in the environment, in " + keyVariable)}
	}
	if f := cmd.Flags().Lookup("store"); f != nil && f.Changed {
		for _, server := range f.Value.(pflag.SliceValue).GetSlice() {
			if u, err := url.Parse(server); err == nil && u.User != nil || err != nil && strings.Contains(server, "@") {
				return usageError{errors.New("--store " + cluster.Redacted(server) + ": this address has a password or a token, and " + seen +
					"have it in the environment, in " + variable("store") + ", or name a credentials file with --store-creds FILE")}
			}
		}
	}
	return nil
}
