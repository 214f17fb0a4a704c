package pumpkin_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// TestEveryNameHasAnExample holds the public face to examples that are run and whose
// output is compared.
func TestEveryNameHasAnExample(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	face, err := doc.NewFromFiles(fset, files, module)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	check := func(name string, examples []*doc.Example) {
		t.Helper()
		names++
		for _, e := range examples {
			if e.Output != "" {
				return
			}
		}
		t.Errorf("%s has no Example with an // Output", name)
	}
	for _, f := range face.Funcs {
		check(f.Name, f.Examples)
	}
	for _, typ := range face.Types {
		check(typ.Name, typ.Examples)
		for _, f := range append(typ.Funcs, typ.Methods...) {
			check(typ.Name+"."+f.Name, f.Examples)
		}
	}
	if names < 25 {
		t.Errorf("found %d names; were all files read?", names)
	}
}
