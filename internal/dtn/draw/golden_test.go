package draw

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/internal/dtn/dtntest"
)

var update = flag.Bool("update", false, "write the drawings into the files of testdata")

// TestDrawings draws the network at the head of each file of testdata in the
// forms that the file holds, and compares.
func TestDrawings(t *testing.T) {
	forms := forms()
	for name, width := range map[string]int{"width-30": 30, "width-80": 80, "width-120": 120, "width-300": 300} {
		forms[name] = func(w io.Writer, n *dtn.Network) error { return Text(w, n, width, false) }
	}
	forms["ascii-120"] = func(w io.Writer, n *dtn.Network) error { return Text(w, n, 120, true) }
	forms["ascii-30"] = func(w io.Writer, n *dtn.Network) error { return Text(w, n, 30, true) }

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
			hosted, err := dtntest.Parse(string(archive.Comment))
			if err != nil {
				t.Fatal(err)
			}
			n := dtn.New(hosted)
			for i, want := range archive.Files {
				form, ok := forms[want.Name]
				if !ok {
					t.Fatalf("%q is no form of drawing", want.Name)
				}
				var got bytes.Buffer
				if err := form(&got, n); err != nil {
					t.Fatal(err)
				}
				if !*update && !bytes.Equal(got.Bytes(), want.Data) {
					t.Errorf("%s is\n%s\nwant\n%s", want.Name, got.Bytes(), want.Data)
				}
				archive.Files[i].Data = got.Bytes()
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
