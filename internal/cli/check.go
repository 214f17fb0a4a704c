package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/load"
	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// network is the automaton that a node with the seeds in paths would have, without
// running them: those of the program are in it as well. errs are those of files that
// declare a seed wrongly.
func (p Program) network(paths []string) (n *dtn.Network, errs []error, err error) {
	var hosted []dtn.Hosted
	for _, m := range p.hosts(paths) {
		hosted = append(hosted, dtn.Hosted{Manifest: m})
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, usageError{noFile(path, err)}
		}
		var ms []seed.Manifest
		if info.IsDir() {
			found, bad := load.Folder(path)
			ms, errs = found, append(errs, bad...)
		} else {
			m, err := load.File(path)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			ms = []seed.Manifest{m}
		}
		for _, m := range ms {
			hosted = append(hosted, dtn.Hosted{Manifest: m})
		}
	}
	return dtn.New(hosted), errs, nil
}

// networkOf is the automaton of what checked reads; a file that declares a seed
// wrongly is an error.
func (a *app) networkOf(ctx context.Context, f nodeFlags, paths []string) (*dtn.Network, error) {
	n, errs, err := a.checked(ctx, f, paths)
	return n, errors.Join(append(errs, err)...)
}

// running is the automaton of what the nodes of a network host, and of what they
// refuse to.
func running(all web.Network) *dtn.Network {
	var hosted []dtn.Hosted
	for _, m := range all.Nodes {
		for _, s := range m.Seeds {
			hosted = append(hosted, dtn.Hosted{Node: m.Node, Manifest: s.Manifest, Since: s.Since.UnixNano()})
		}
		for _, r := range m.Refused { // younger than what it was refused for
			hosted = append(hosted, dtn.Hosted{Node: m.Node, Manifest: r.Manifest, Since: math.MaxInt64})
		}
	}
	return dtn.New(hosted)
}

// A finding is what check prints of one, in JSON.
type finding struct {
	File     string       `json:"file,omitempty"`
	Line     int          `json:"line,omitempty"`
	Severity dtn.Severity `json:"severity"`
	Kind     dtn.Kind     `json:"kind"`
	Seed     seed.Name    `json:"seed,omitempty"`
	State    packet.State `json:"state,omitempty"`
	Near     string       `json:"near,omitempty"`
	Text     string       `json:"text"`
}

// checked is the network that is meant, and what is wrong with its files: that of
// the seeds in paths and in the program; without any, or where a node is named, the
// one that runs.
func (a *app) checked(ctx context.Context, f nodeFlags, paths []string) (*dtn.Network, []error, error) {
	if len(paths) > 0 || f.node == "" && !a.program.Stock && len(a.program.Seeds) > 0 {
		return a.program.network(paths)
	}
	all, err := f.network(ctx)
	if err != nil {
		return nil, nil, err
	}
	return running(all), nil, nil
}

func (a *app) checkCommand() *cobra.Command {
	var f nodeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check [PATH...]", Short: "Check the network that seed files make, or the running one",
		Long: `check reads seed files and folders, without running them, and says what is wrong
with the network they make: states that are given and accepted by no seed, seeds
that no data reaches, joins that never complete, cycles with no way out, names
that two seeds share. Seeds that your own program has compiled in are part of it.
pmk without a PATH, or --node NAME, checks the running network, over all its nodes.
It exits with 1 if it finds anything.`,
		Example: "  pmk check seeds/\n  pmk check examples/helloworld/python --json\n  pmk check",
		RunE: func(cmd *cobra.Command, paths []string) error {
			n, errs, err := a.checked(cmd.Context(), f, paths)
			if err != nil {
				return err
			}
			found := []finding{}
			for _, err := range errs {
				found = append(found, badFile(err))
			}
			for _, f := range n.Findings() {
				found = append(found, finding{f.File, f.Line, f.Severity, f.Kind, f.Seed, f.State, f.Near, f.Text})
			}
			return a.printFindings(found, len(n.Seeds()), asJSON)
		},
	}
	f.add(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// badFile is the finding for a file that cannot be read as a seed.
func badFile(err error) finding {
	f := finding{Severity: dtn.Error, Kind: "bad-seed-file", Text: err.Error()}
	var at *seed.Error
	if errors.As(err, &at) {
		f.File, f.Line, f.Text = at.File, at.Line, at.Msg
	}
	return f
}

func (a *app) printFindings(found []finding, seeds int, asJSON bool) error {
	if asJSON {
		if err := printJSON(a.out, map[string]any{"seeds": seeds, "findings": found}); err != nil {
			return err
		}
	} else {
		for _, f := range found {
			place := ""
			if f.File != "" {
				place = fmt.Sprintf("%s:%d: ", f.File, f.Line)
			}
			fmt.Fprintf(a.out, "%s%s: %s\n", place, f.Severity, f.Text)
		}
		if len(found) == 0 {
			fmt.Fprintf(a.out, "%s, nothing found\n", english.Plural(seeds, "seed", ""))
		}
	}
	if len(found) > 0 {
		return errFindings
	}
	return nil
}
