package python

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A choice is the Python that runs a seed.
type choice struct {
	name    string   // a path, or what is looked for in PATH
	options []string // that the file's first line gives it
	why     string   // what chose it, for people
}

// choose tells which Python runs the seed file, whose text begins with head: that of its #! line;
// else that of a folder .venv beside it; else the one that is named (PUMPKIN_PYTHON); else python3.
// A line that asks env for any Python 3 chooses none.
func choose(file string, head []byte, named string) choice {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if text, ok := strings.CutPrefix(string(line), "#!"); ok {
		words := strings.Fields(text)
		if len(words) > 0 && filepath.Base(words[0]) == "env" {
			words = words[1:]
			if len(words) > 0 && words[0] == "-S" {
				words = words[1:]
			}
			if len(words) > 0 && (words[0] == "python3" || words[0] == "python") {
				words = nil
			}
		}
		if len(words) > 0 {
			return choice{words[0], words[1:], "the #! line of " + file}
		}
	}
	venv := filepath.Join(filepath.Dir(file), ".venv", "bin", "python")
	if _, err := os.Stat(venv); err == nil {
		return choice{name: venv, why: "the folder .venv beside " + file}
	}
	if named != "" {
		return choice{name: named, why: "PUMPKIN_PYTHON"}
	}
	return choice{name: "python3", why: "PATH"}
}

// chosen is how the seed file is run.
func (r *modules) chosen() (choice, error) {
	file, err := os.Open(r.source)
	if err != nil {
		return choice{}, err
	}
	defer file.Close() // only read
	head := make([]byte, 1<<10)
	n, _ := file.Read(head) // an empty file fails when it is loaded
	return choose(r.m.File, head[:n], r.env.Python), nil
}

// interpreters finds each Python once: its sys.executable, so that the shim of a version
// manager costs nothing later.
type interpreters struct {
	mu    sync.Mutex
	found map[choiceKey]func(context.Context) (string, error)
}

type choiceKey struct{ name, why string }

func (i *interpreters) find(ctx context.Context, c choice) (string, error) {
	key := choiceKey{c.name, c.why}
	i.mu.Lock()
	look := i.found[key]
	if look == nil {
		look = untilFound(func(ctx context.Context) (string, error) { return find(ctx, c) })
		if i.found == nil {
			i.found = map[choiceKey]func(context.Context) (string, error){}
		}
		i.found[key] = look
	}
	i.mu.Unlock()
	return look(ctx)
}
