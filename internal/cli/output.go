package cli

import (
	"encoding/json"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api/sum"
)

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON, for scripts")
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// bytesText is a size for people.
func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// age is how long ago t was, for people.
func age(t time.Time) string {
	return sum.Rounded(time.Since(t)).String()
}
