// Package shape holds the structure of the code to what CONTRIBUTING.md says of it.
package shape

import (
	"go/ast"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// module is what the paths of its packages begin with.
const module = "github.com/recap/pumpkin"

// unfinished are the folders whose files still refer to each other in a circle.
var unfinished = []string{
	"internal/mesh/beacon",
	"internal/mesh/circle",
	"internal/mesh/hub",
	"internal/mesh/key",
	"internal/mesh/link",
	"internal/runner/python",
	"internal/runner/supervise",
	"internal/runner/worker",
	"internal/runner/worker/wire",
}

// TestNoCircles: the files of a folder point one way, so that each can be read with nothing
// but those below it.
func TestNoCircles(t *testing.T) {
	cfg := &packages.Config{Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax |
		packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports}
	loaded, err := packages.Load(cfg, module+"/...")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, p := range loaded {
		path := strings.TrimPrefix(strings.TrimPrefix(p.PkgPath, module), "/")
		if path == "" {
			path = "."
		}
		if strings.HasPrefix(path, "tests/") {
			continue // these are a module of their own
		}
		if len(p.Errors) > 0 {
			t.Fatalf("%s: %v", path, p.Errors)
		}
		read[path] = true
		found := circles(arrowsOf(p))
		if slices.Contains(unfinished, path) {
			if len(found) == 0 {
				t.Errorf("%s has no circle any more: take it out of the list", path)
			}
			continue
		}
		for _, circle := range found {
			t.Errorf("%s: these files refer to each other: %s", path, strings.Join(circle, ", "))
		}
	}
	for _, path := range append([]string{".", "internal/node"}, unfinished...) {
		if !read[path] {
			t.Errorf("%s was not read", path)
		}
	}
}

// TestCircles has one found.
func TestCircles(t *testing.T) {
	arrows := map[string]map[string]bool{
		"a": {"b": true}, "b": {"c": true, "d": true}, "c": {"b": true}, "d": {},
	}
	if got := circles(arrows); len(got) != 1 || !slices.Equal(got[0], []string{"b", "c"}) {
		t.Errorf("found %v", got)
	}
}

// arrowsOf are, for each file of a package, the other files of it that it refers to: their
// types, functions, methods, fields and constants.
func arrowsOf(p *packages.Package) map[string]map[string]bool {
	arrows := map[string]map[string]bool{}
	for _, file := range p.Syntax {
		from := filepath.Base(p.Fset.Position(file.Pos()).Filename)
		for n := range ast.Preorder(file) {
			id, ok := n.(*ast.Ident)
			if !ok {
				continue
			}
			o := p.TypesInfo.Uses[id]
			if o == nil || o.Pkg() != p.Types {
				continue
			}
			if to := filepath.Base(p.Fset.Position(o.Pos()).Filename); to != from {
				if arrows[from] == nil {
					arrows[from] = map[string]bool{}
				}
				arrows[from][to] = true
			}
		}
	}
	return arrows
}

// circles are the sets of files that can be reached from each other, each sorted.
func circles(arrows map[string]map[string]bool) (out [][]string) {
	reach := map[string]map[string]bool{}
	for from := range arrows {
		reach[from] = map[string]bool{}
		for todo := slices.Collect(maps.Keys(arrows[from])); len(todo) > 0; {
			to := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if !reach[from][to] {
				reach[from][to] = true
				todo = slices.AppendSeq(todo, maps.Keys(arrows[to]))
			}
		}
	}
	listed := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(reach)) {
		if !reach[from][from] || listed[from] {
			continue
		}
		var circle []string
		for _, to := range slices.Sorted(maps.Keys(reach[from])) {
			if reach[to][from] {
				circle = append(circle, to)
				listed[to] = true
			}
		}
		out = append(out, circle)
	}
	return out
}
