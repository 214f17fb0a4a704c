package cli

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/packet"
)

//go:embed template
var templates embed.FS

// A template is what seed new writes for one kind, with NAME standing for the
// seed's name.
type template struct {
	kind  string
	files map[string]string // file to write -> file in templates
	try   string            // what to do next
}

func seedTemplates() []template {
	return []template{
		{"python", map[string]string{"NAME.py": "python.py", "NAME.golden.json": "golden.json"}, "pmk seed test NAME.py"},
		{"sh", map[string]string{"NAME.sh": "sh.sh", "NAME.golden.json": "golden.json"}, "pmk seed test NAME.sh"},
		{"go", map[string]string{"NAME/main.go": "go.txt", "NAME/main_test.go": "go_test.txt"}, "go test ./NAME && go run ./NAME"},
	}
}

func (a *app) seedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "seed", Short: "Make and test seeds",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.seedNewCommand(), a.seedTestCommand())
	return cmd
}

func (a *app) seedNewCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:     "new NAME",
		Short:   "Write a new seed that works, with a test",
		Example: "  pmk seed new greet\n  pmk seed new clean --kind sh",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := packet.CheckName("seed's name", args[0]); err != nil {
				return usageError{err}
			}
			for _, t := range seedTemplates() {
				if t.kind == kind {
					return a.seedNew(t, args[0])
				}
			}
			return usageError{fmt.Errorf("--kind %s: expected python, sh or go", kind)}
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "python", "python, sh or go")
	return cmd
}

func (a *app) seedNew(t template, name string) error {
	for file := range t.files {
		path := filepath.FromSlash(strings.ReplaceAll(file, "NAME", name))
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return usageError{fmt.Errorf("%s is there already", path)}
		}
	}
	for file, from := range t.files {
		path := filepath.FromSlash(strings.ReplaceAll(file, "NAME", name))
		text, err := templates.ReadFile("template/" + from)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o666)
		if strings.HasSuffix(path, ".sh") {
			mode = 0o777
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "NAME", name)), mode); err != nil {
			return err
		}
		fmt.Fprintln(a.out, "wrote "+path)
	}
	_, err := fmt.Fprintln(a.out, "now try: "+strings.ReplaceAll(t.try, "NAME", name))
	return err
}
