package pumpkin_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// module is what every import path of this project begins with.
const module = "github.com/recap/pumpkin"

// An importRule says what packages may import. Paths of this project stand
// without the module in front; its root is ".". An entry that ends in "/..."
// means a folder and all below it, an entry "..." everything.
type importRule struct {
	who   string
	may   []string // of this project; nothing else of it
	never []string // of any other, with all below them
}

// importRules are the layers of this project. For a package, the first rule
// that means it holds.
func importRules() []importRule {
	values := []string{"packet", "seed", "internal/strict"}
	// A runner knows the contract and what runners share, never another
	// runner and never the node.
	runner := append(slices.Clone(values), "internal/runner")
	worker := append(slices.Clone(runner), "internal/runner/supervise/...", "internal/runner/worker/...", "internal/hold", "internal/uses")

	return []importRule{
		{who: "packet", may: []string{"internal/strict"}, never: []string{"os", "net", "log", "sync", "context"}},
		{who: "seed", may: []string{"packet", "internal/strict"}, never: []string{"os", "net", "log", "sync", "context"}},
		{who: "internal/strict", never: []string{"os", "net", "log", "sync", "context", "time"}},
		{who: "internal/dtn/dtntest", may: append(slices.Clone(values), "internal/dtn")},
		{who: "internal/dtn/...", may: append(slices.Clone(values), "internal/dtn/..."), never: []string{"context", "time", "sync", "os", "net", "log"}},

		// What is known of packets' ways, and the picture of it.
		{who: "internal/trace", may: values, never: []string{"os", "net", "log", "sync", "context"}},

		{who: "internal/spans/spanstest"},
		{who: "internal/spans", may: append(slices.Clone(values), "internal/trace")},

		{who: "internal/runner", may: values},
		{who: "internal/runner/runnertest", may: append(slices.Clone(runner), "internal/testenv")},
		{who: "internal/runner/gofn", may: runner},
		{who: "internal/runner/supervise/...", may: append(slices.Clone(runner), "internal/runner/supervise/...", "internal/runner/worker/wire")},
		{who: "internal/runner/worker/...", may: worker},
		{who: "internal/runner/process", may: worker},
		{who: "internal/runner/python", may: append(slices.Clone(worker), "python", "internal/local")},
		{who: "internal/store", may: values},
		{who: "internal/store/storetest", may: append(slices.Clone(values), "internal/store", "internal/testenv")},
		// The data folder is no store: whoever keeps something there locks it.
		{who: "internal/store/folder", may: append(slices.Clone(values), "internal/hold")},
		{who: "internal/store/...", may: append(slices.Clone(values), "internal/store", "internal/store/folder", "internal/store/disk")},
		// Moves what lies on the disk, between data folders alone.
		{who: "internal/adopt", may: append(slices.Clone(values), "internal/store", "internal/store/blob", "internal/store/folder", "internal/store/pebble")},
		{who: "internal/backup", may: append(slices.Clone(values), "internal/store/blob", "internal/store/folder", "internal/store/pebble")},
		{who: "internal/mesh", may: append(slices.Clone(values), "internal/store")},
		{who: "internal/mesh/...", may: append(slices.Clone(values), "internal/mesh/...", "internal/store", "internal/local", "internal/pause")},

		{who: "internal/predict", never: []string{"context", "sync", "os", "net", "log"}},
		{who: "internal/node", may: append(slices.Clone(values), "internal/dtn", "internal/predict", "internal/runner", "internal/store", "internal/mesh", "internal/trace", "internal/pause")},
		{who: "internal/inject", may: append(slices.Clone(values), "internal/netfs", "internal/hold", "internal/store")},
		{who: "internal/hold"},
		{who: "internal/netfs"},
		{who: "internal/uses", may: values},
		{who: "internal/local", may: []string{"packet"}},
		{who: "internal/testenv"},
		{who: "internal/pause"},
		{who: "internal/faulttest/lossy", may: []string{"internal/testenv"}},
		{who: "internal/faulttest/lan", may: []string{"internal/testenv"}},
		{who: "internal/faulttest"}, // tests alone
		{who: "internal/faulttest/sink", may: []string{"."}},
		{who: "python"},

		// What goes over the wire, and who asks for it: nothing of what answers.
		{who: "internal/api", may: append(slices.Clone(values), "internal/predict", "internal/trace")},
		{who: "internal/api/sum", may: append(slices.Clone(values), "internal/api", "internal/predict", "internal/store"), never: []string{"context", "sync", "os", "net", "log"}},

		// These put the parts together.
		{who: "internal/web/...", may: append(slices.Clone(values), "internal/api/...", "internal/node", "internal/mesh", "internal/store", "internal/trace", "internal/web/...")},
		{who: "internal/bench/...", may: []string{"..."}},
		{who: "internal/load/...", may: []string{"..."}},
		{who: "internal/cli/...", may: []string{"..."}},
		{who: ".", may: []string{"..."}},
		// Programs are written as any user would write theirs.
		{who: "cmd/...", may: []string{"."}},
		{who: "examples/...", may: []string{"."}},
	}
}

// TestImports holds every package to its rule. What tests import is free.
func TestImports(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...")
	var failed strings.Builder
	list.Stderr = &failed
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, failed.String())
	}
	graph := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		graph[names[0]] = names[1:]
	}
	if len(graph[module+"/packet"]) == 0 {
		t.Fatalf("go list tells nothing of package packet:\n%s", out)
	}
	for _, found := range breaches(importRules(), graph) {
		t.Error(found)
	}
}

// TestProgram holds the program to what it is made of: what only tests need is
// no part of it.
func TestProgram(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/pmk").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		if means("github.com/hanwen/go-fuse/...", pkg) || means("internal/faulttest/...", short(pkg)) || means("internal/testenv/...", short(pkg)) || pkg == "testing" {
			t.Errorf("pmk holds package %s, which is for tests", pkg)
		}
	}
}

// testModules are what go.mod requires for tests alone: of tests that see inside of their
// package and so cannot lie in the module tests.
var testModules = []string{
	"github.com/getkin/kin-openapi",      // internal/web: the document, its routes and the events
	"github.com/nats-io/nats-server/v2",  // internal/store/cluster and internal/mesh/hub
	"github.com/prometheus/client_model", // with client_golang in any case, as are the next two
	"github.com/prometheus/common",
	"go.yaml.in/yaml/v2",
	"github.com/rogpeppe/go-internal", // the scenarios of internal/dtn
	"pgregory.net/rapid",              // packet, seed, internal/dtn
}

// TestRequirements: a program that imports this module gets what the product needs, and of
// what tests need only what testModules names.
func TestRequirements(t *testing.T) {
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "go", args...).Output()
		if err != nil {
			t.Fatalf("go %s: %v", args, err)
		}
		return out
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(run("mod", "edit", "-json"), &mod); err != nil || len(mod.Require) == 0 {
		t.Fatalf("go.mod requires nothing: %v", err)
	}
	used := strings.Fields(string(run("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")))
	for _, r := range mod.Require {
		if !r.Indirect && !slices.Contains(used, r.Path) && !slices.Contains(testModules, r.Path) {
			t.Errorf("go.mod requires %s for tests alone: move those into the module tests", r.Path)
		}
	}
}

// breaches says where graph, from a package to what it imports, breaks a rule.
func breaches(rules []importRule, graph map[string][]string) []string {
	var found []string
	for pkg, imports := range graph {
		who := short(pkg)
		i := slices.IndexFunc(rules, func(r importRule) bool { return means(r.who, who) })
		if i < 0 {
			found = append(found, fmt.Sprintf("no rule means package %s: add one to importRules", who))
			continue
		}
		for _, imp := range imports {
			is := func(entry string) bool { return means(entry, short(imp)) }
			under := func(entry string) bool { return means(entry+"/...", imp) }
			own := imp == module || strings.HasPrefix(imp, module+"/")
			if own && !slices.ContainsFunc(rules[i].may, is) {
				found = append(found, fmt.Sprintf("package %s imports %s; of this project it may import %q", who, short(imp), rules[i].may))
			}
			if !own && slices.ContainsFunc(rules[i].never, under) {
				found = append(found, fmt.Sprintf("package %s imports %s; it must never import any of %q", who, imp, rules[i].never))
			}
		}
	}
	slices.Sort(found)
	return found
}

// means tells whether an entry of a rule means the package.
func means(entry, pkg string) bool {
	if entry == "..." {
		return true
	}
	folder, below := strings.CutSuffix(entry, "/...")
	return pkg == folder || below && strings.HasPrefix(pkg, folder+"/")
}

// short is an import path without the module.
func short(pkg string) string {
	if pkg == module {
		return "."
	}
	return strings.TrimPrefix(pkg, module+"/")
}

// TestBreaches sees each kind of rule fail.
func TestBreaches(t *testing.T) {
	in := func(pkg string) string { return path.Join(module, pkg) }
	for _, c := range []struct {
		name, pkg, imports, want string
	}{
		{"a lower layer", "seed", in("packet"), ""},
		{"a higher layer", "packet", in("seed"), "package packet imports seed;"},
		{"the automaton and the clock", "internal/dtn", "time", "package internal/dtn imports time;"},
		{"the automaton and a child of log", "internal/dtn", "log/slog", "imports log/slog;"},
		{"its drawing as well", "internal/dtn/draw", "os", "package internal/dtn/draw imports os;"},
		{"a name that only begins so", "internal/dtn", "timeless", ""},
		{"the standard library", "internal/dtn", "math/bits", ""},
		{"the node and a contract", "internal/node", in("internal/runner"), ""},
		{"the node and an implementation", "internal/node", in("internal/runner/gofn"), "imports internal/runner/gofn;"},
		{"two implementations", "internal/runner/process", in("internal/runner/python"), "imports internal/runner/python;"},
		{"an implementation and what runners share", "internal/runner/process", in("internal/runner/worker"), ""},
		{"an implementation and the node", "internal/runner/gofn", in("internal/node"), "imports internal/node;"},
		{"two stores", "internal/store/pebble", in("internal/store/cluster"), "imports internal/store/cluster;"},
		{"the shell", "internal/cli", in("internal/node"), ""},
		{"the client and the node", "internal/api", in("internal/node"), "package internal/api imports internal/node;"},
		{"the client and the server", "internal/api", in("internal/web"), "package internal/api imports internal/web;"},
		{"the sums and the net", "internal/api/sum", "net/http", "package internal/api/sum imports net/http;"},
		{"a program and the inside", "cmd/pmk", in("internal/cli"), "package cmd/pmk imports internal/cli;"},
		{"a program and the face", "cmd/pmk", module, ""},
		{"the root", ".", in("internal/cli"), ""},
		{"a package of no layer", "internal/util", "fmt", "no rule means package internal/util"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := breaches(importRules(), map[string][]string{in(c.pkg): {c.imports}})
			switch {
			case c.want == "" && len(found) > 0:
				t.Errorf("found %q; expected nothing", found)
			case c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want)):
				t.Errorf("found %q; expected %q", found, c.want)
			}
		})
	}
}
