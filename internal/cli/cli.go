// Package cli is the command line of pmk: it reads commands and flags and wires
// the concrete parts of a node together.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/local"
)

// The exit codes of pmk, as docs/commands.md lists them.
const (
	exitOK      = 0
	exitFailed  = 1   // what was asked for did not succeed: findings, failed tests, a failed send
	exitUsage   = 2   // the command line is wrong
	exitNoNode  = 3   // no running node to talk to
	exitNoSeed  = 4   // a seed that was named cannot be loaded
	exitWaits   = 5   // send --wait: packets wait, since no seed takes them
	exitErrors  = 6   // send --wait: packets failed and wait in an Error: state
	exitStore   = 7   // a node has ended whose store cannot be written, or that found damage in it
	exitAborted = 130 // a second Ctrl-C ended the node at once
)

// Main runs the command line in os.Args and returns the exit code.
func Main(ctx context.Context, program Program) int {
	return run(ctx, program, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

func run(ctx context.Context, program Program, args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{program: program, settings: takeSettings(), in: in, out: forPeople(out), err: errs}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	if err != nil && !slices.ContainsFunc([]error{errFindings, errAborted, errWaits, errErrors, errStore}, func(told error) bool { return errors.Is(err, told) }) {
		fmt.Fprintf(forPeople(errs), "pmk: %v\n", err)
		if code == exitUsage {
			fmt.Fprintln(errs, "Try 'pmk --help'.")
		}
	}
	return code
}

func exitCode(err error) int {
	var usage usageError
	var noSeed noSeedError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errStore): // before all: somebody has to do something
		return exitStore
	case errors.Is(err, errAborted):
		return exitAborted
	case errors.Is(err, errErrors):
		return exitErrors
	case errors.Is(err, errWaits):
		return exitWaits
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, local.ErrNone):
		return exitNoNode
	case errors.As(err, &noSeed):
		return exitNoSeed
	default:
		return exitFailed
	}
}

func (a *app) root() *cobra.Command {
	root := a.runCommand()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(flagError)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := secretFlags(cmd); err != nil {
			return err
		}
		return a.settings.set(cmd)
	}
	root.AddCommand(a.sendCommand(), a.psCommand(), a.topCommand(), a.waitingCommand(), a.retryCommand(), a.dropCommand(), a.pauseCommand(), a.resumeCommand(), a.forgetCommand(), a.storeCommand(), a.traceCommand(), a.graphCommand(), a.checkCommand(), a.planCommand(),
		a.seedCommand(), a.keyCommand(), a.benchCommand(), a.versionCommand())
	return root
}
