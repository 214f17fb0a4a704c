package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/load"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// manifests are the seeds that a node with those paths would have, without running them:
// those of the program are among them. errs are those of files that declare a seed wrongly.
func (p Program) manifests(paths []string) (ms []seed.Manifest, errs []error, err error) {
	ms = slices.Clone(p.hosts(paths))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, usageError{noFile(path, err)}
		}
		if info.IsDir() {
			found, bad := load.Folder(path)
			ms, errs = append(ms, found...), append(errs, bad...)
			continue
		}
		m, err := load.File(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ms = append(ms, m)
	}
	return ms, errs, nil
}

// network is the automaton of seeds that no node hosts yet.
func network(ms []seed.Manifest) *dtn.Network {
	var hosted []dtn.Hosted
	for _, m := range ms {
		hosted = append(hosted, dtn.Hosted{Manifest: m})
	}
	return dtn.New(hosted)
}

// networkOf is the automaton of what checked reads; a file that declares a seed
// wrongly is an error.
func (a *app) networkOf(ctx context.Context, f nodeFlags, paths []string) (*dtn.Network, error) {
	n, _, errs, err := a.checked(ctx, f, paths, nil)
	return n, errors.Join(append(errs, err)...)
}

// running is the automaton of what the nodes of a network host, and of what they
// refuse to.
func running(all api.Network) *dtn.Network {
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
// the seeds in paths and in the program, which are ms; without any, or where a node is
// named, the one that runs, which seen, unless nil, is given.
func (a *app) checked(ctx context.Context, f nodeFlags, paths []string, seen func(api.Network)) (n *dtn.Network, ms []seed.Manifest, errs []error, err error) {
	if a.ofFiles(f, paths) {
		if ms, errs, err = a.program.manifests(paths); err != nil {
			return nil, nil, nil, err
		}
		return network(ms), ms, errs, nil
	}
	all, err := f.network(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if seen != nil {
		seen(all)
	}
	return running(all), nil, nil, nil
}

// ofFiles tells whether seeds of files and of the program are meant, and no running network.
func (a *app) ofFiles(f nodeFlags, paths []string) bool {
	return len(paths) > 0 || f.node == "" && !a.program.Stock && len(a.program.Seeds) > 0
}

func (a *app) checkCommand() *cobra.Command {
	var f nodeFlags
	var asJSON, loads bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use: "check [PATH...]", Short: "Check the network that seed files make, or the running one",
		Long: `check reads seed files and folders, without running them, and says what is wrong
with the network they make: states that are given and accepted by no seed, seeds
that no data reaches, joins that never complete, cycles with no way out, names
that two seeds share. It says what a node would refuse as well: what is no Python
3, modules and interpreters that are missing, files that are not executable. With
--load it also loads each seed, which runs what a file does when it is loaded, and
ends it again. Seeds that your own program has compiled in are part of it.
pmk without a PATH, or --node NAME, checks the running network, over all its nodes,
and names nodes that the one that is asked does not reach, or that do not reach it.
It exits with 1 if it finds anything.`,
		Example: "  pmk check seeds/\n  pmk check seeds/ --load\n  pmk check examples/helloworld/python --json\n  pmk check",
		RunE: func(cmd *cobra.Command, paths []string) error {
			if loads && !a.ofFiles(f, paths) {
				return usageError{errors.New("--load is for seed files: name them, or their folder")}
			}
			found := []finding{}
			n, ms, errs, err := a.checked(cmd.Context(), f, paths, func(all api.Network) { found = append(found, unmetFindings(all)...) })
			if err != nil {
				return err
			}
			errs = append(errs, a.refusals(cmd.Context(), ms, loads, limit)...)
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
	cmd.Flags().BoolVar(&loads, "load", false, "load each seed as well, and end it again")
	cmd.Flags().DurationVar(&limit, "timeout", time.Minute, "the longest that a seed may take to load")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// unmetFindings are the nodes that are not reached. Those that may belong to another network
// are none of them.
func unmetFindings(all api.Network) (found []finding) {
	for _, o := range all.Outsiders {
		if o.Stranger {
			continue
		}
		found = append(found, finding{Severity: dtn.Warning, Kind: "node-not-reached", Text: whole(fmt.Sprintf("node %s at %s, as node %s sees it: %s", cmp.Or(o.Node, "unknown"), o.At, all.Nodes[0].Node, unmetText(&o)))})
	}
	return found
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
