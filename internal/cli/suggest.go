package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/recap/pumpkin/seed"
)

// flagError names the nearest known flag beside an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError{dashed(cmd, err)}
	}
	var known []string
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	}
	cmd.Flags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	if near, ok := seed.Nearest(unknown.GetSpecifiedName(), known); ok {
		return usageError{fmt.Errorf("%w: did you mean --%s?", err, near)}
	}
	return usageError{dashed(cmd, err)}
}

// dashed adds to an error about a flag that it may have been meant as data.
func dashed(cmd *cobra.Command, err error) error {
	if cmd.Name() != "send" || errors.As(err, new(*pflag.ValueRequiredError)) || errors.As(err, new(*pflag.InvalidValueError)) {
		return err
	}
	return fmt.Errorf("%w; data that begins with a dash goes behind --: pmk send STATE -- DATA", err)
}

// noSuchPath is the error for a path that does not exist: it may be a mistyped
// command.
func noSuchPath(root *cobra.Command, path string, err error) error {
	if !errors.Is(err, os.ErrNotExist) || strings.ContainsAny(path, "/.") {
		return usageError{noFile(path, err)}
	}
	var known []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			known = append(known, c.Name())
		}
	}
	if near, ok := seed.Nearest(path, known); ok {
		return usageError{fmt.Errorf("there is no file, folder or command %q; did you mean 'pmk %s'?", path, near)}
	}
	return usageError{fmt.Errorf("there is no file, folder or command %q", path)}
}

// noFile is the error for a seed file or folder that is not there.
func noFile(path string, err error) error {
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var known []string
	beside, readErr := os.ReadDir(filepath.Dir(path))
	for _, e := range beside {
		known = append(known, e.Name())
	}
	near, ok := seed.Nearest(filepath.Base(path), known)
	switch {
	case readErr != nil:
		return fmt.Errorf("%w, nor the folder %s; check the path, or write it in full", err, filepath.Dir(path))
	case ok:
		return fmt.Errorf("%w; did you mean %s?", err, filepath.Join(filepath.Dir(path), near))
	}
	return fmt.Errorf("%w; 'pmk seed new NAME' writes a seed that works", err)
}
