package dtn_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/recap/pumpkin/internal/dtn/draw"
)

var update = flag.Bool("update", false, "write what is found into the files of testdata")

// TestScenarios builds the network at the head of each file of testdata, and
// compares its drawing, which has what the findings say below it, and where
// they point with what the file says.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n := network(t, string(archive.Comment))
			var drawing, findings bytes.Buffer
			if err := draw.Text(&drawing, n, 100, false); err != nil {
				t.Fatal(err)
			}
			for _, f := range n.Findings() {
				fmt.Fprintf(&findings, "%s:%d: %s %s: seeds %s, state %q, near %q\n",
					f.File, f.Line, f.Severity, f.Kind, f.Seeds, f.State, f.Near)
			}
			got := []txtar.File{
				{Name: "drawing", Data: drawing.Bytes()},
				{Name: "findings", Data: findings.Bytes()},
			}
			if *update {
				archive.Files = got
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(archive.Files) != len(got) {
				t.Fatalf("%d parts, want %d; see -update", len(archive.Files), len(got))
			}
			for i, want := range archive.Files {
				if want.Name != got[i].Name || !bytes.Equal(want.Data, got[i].Data) {
					t.Errorf("%s is\n%s\nwant %s\n%s", got[i].Name, got[i].Data, want.Name, want.Data)
				}
			}
		})
	}
}
