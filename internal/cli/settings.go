package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/seed"
)

// settings are the variables of the environment that set a node's flags, PUMPKIN_<FLAG>,
// and name the Python of seeds that name none.
type settings map[string]string

const (
	settingPrefix  = "PUMPKIN_"
	pythonVariable = settingPrefix + "PYTHON"
	// keyVariable holds a key, or the path of its file.
	keyVariable = settingPrefix + "KEY"
)

// takeSettings reads the settings and takes them out of the environment: what this process
// starts is not to have them. One that is empty counts as none.
func takeSettings() settings {
	s := settings{}
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if _, former := formerly(name); !former && !strings.HasPrefix(name, settingPrefix) {
			continue
		}
		if value != "" {
			s[name] = value
		}
		os.Unsetenv(name) // its only error is a name that is none
	}
	return s
}

// formerly tells which variable took the place of one that earlier versions read. That is
// taken out of the environment as well: it may hold a key.
func formerly(name string) (now string, ok bool) {
	switch name {
	case "PMK_KEY":
		return keyVariable, true
	case "PMK_PYTHON":
		return pythonVariable, true
	}
	return "", false
}

func (s settings) python() string { return s[pythonVariable] }

// variable is the name of the variable that sets the flag.
func variable(flag string) string {
	return settingPrefix + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(flag))
}

// settable tells whether a variable may set the command's flag: all that describe a node,
// and elsewhere those that choose a network.
func settable(cmd *cobra.Command, f *pflag.Flag) bool {
	switch {
	case f.Hidden, f.Name == "help", f.Name == "version":
		return false
	case f.Name == "key", f.Name == "group":
		return true
	}
	return cmd == cmd.Root() || cmd.Parent() == cmd.Root() && cmd.Name() == "run"
}

// set sets the command's flags that its command line does not, and to which that leaves a
// meaning.
func (s settings) set(cmd *cobra.Command) (err error) {
	without := meaningless(cmd.Flags())
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value := s[variable(f.Name)]
		if value == "" || f.Changed || !settable(cmd, f) || without[f.Name] != "" || err != nil {
			return
		}
		if f.Name == "key" {
			if err = checkKeyVariable(value); err != nil {
				return
			}
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			err = list.Replace(strings.Split(value, ","))
		} else {
			err = f.Value.Set(value)
		}
		if err != nil {
			err = usageError{fmt.Errorf("%s in the environment: %w", variable(f.Name), err)}
		}
	})
	return err
}

// checkKeyVariable refuses what is in [keyVariable] and can be nothing of what that holds. It
// shows nothing of it: it may be meant as a key.
func checkKeyVariable(value string) error {
	if value == "" || key.IsText(value) {
		return nil // what is wrong with a key is said when it is read
	}
	var why *fs.PathError
	if _, err := os.Stat(value); errors.As(err, &why) {
		return usageError{fmt.Errorf("%s in the environment is neither a key nor the path of a file (%w): make a key with 'pmk key new > lan.key', and put that path there, or the key", keyVariable, why.Err)}
	}
	return nil
}

// tell says which variables set flags of the node, which are left out, and which seem mistyped
// or have another name now.
func (s settings) tell(cmd *cobra.Command, log *slog.Logger) {
	var known, used []string
	without := meaningless(cmd.Flags())
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !settable(cmd, f) {
			return
		}
		known = append(known, variable(f.Name))
		switch given := without[f.Name]; {
		case s[variable(f.Name)] == "" || f.Changed:
		case given != "":
			log.Info(variable(f.Name) + " in the environment has no meaning with " + given + " and is left out")
		default:
			used = append(used, variable(f.Name))
		}
	})
	if len(used) > 0 {
		slices.Sort(used)
		log.Info("set by the environment: " + strings.Join(used, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if now, former := formerly(name); former {
			log.Warn(fmt.Sprintf("%s in the environment sets nothing: it is %s now", name, now))
			continue
		}
		if name == pythonVariable || slices.Contains(known, name) {
			continue
		}
		if near, ok := seed.Nearest(name, append(known, pythonVariable)); ok {
			log.Warn(fmt.Sprintf("%s in the environment sets nothing: did you mean %s?", name, near))
		}
	}
}
