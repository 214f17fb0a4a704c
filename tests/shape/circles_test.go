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

// TestNoCircles: the files of a folder point one way, so that each can be read with nothing
// but those below it.
func TestNoCircles(t *testing.T) {
	for _, path := range []string{
		"internal/node", "internal/api", "internal/api/sum", "internal/web", "internal/web/front", "internal/web/metrics",
		"internal/trace", "internal/cli", "internal/cli/top",
	} {
		cfg := &packages.Config{Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports}
		loaded, err := packages.Load(cfg, "github.com/recap/pumpkin/"+path)
		if err != nil || len(loaded) != 1 || len(loaded[0].Errors) > 0 {
			t.Fatalf("%s: %d packages, %v", path, len(loaded), err)
		}
		arrows := arrowsOf(loaded[0])
		if len(arrows) == 0 {
			t.Fatalf("no file of %s points to another; they were not read", path)
		}
		for _, circle := range circles(arrows) {
			t.Errorf("%s: these files refer to each other: %s", path, strings.Join(circle, ", "))
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
	told := map[string]bool{}
	for _, from := range slices.Sorted(maps.Keys(reach)) {
		if !reach[from][from] || told[from] {
			continue
		}
		var circle []string
		for _, to := range slices.Sorted(maps.Keys(reach[from])) {
			if reach[to][from] {
				circle = append(circle, to)
				told[to] = true
			}
		}
		out = append(out, circle)
	}
	return out
}
