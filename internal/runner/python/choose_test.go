package python

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWhichPython(t *testing.T) {
	bare, beside := t.TempDir(), t.TempDir()
	venv := filepath.Join(beside, ".venv", "bin", "python")
	if err := os.MkdirAll(filepath.Dir(venv), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(venv, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, head, named string
		want             []string
	}{
		{bare, "# pmk: A:B ->\n", "", []string{"python3"}},
		{bare, "# pmk: A:B ->\n", "/opt/python", []string{"/opt/python"}},
		{beside, "# pmk: A:B ->\n", "/opt/python", []string{venv}},
		{beside, "#!/srv/venv/bin/python\n", "/opt/python", []string{"/srv/venv/bin/python"}},
		{beside, "#! /srv/venv/bin/python -u -X dev\r\n", "", []string{"/srv/venv/bin/python", "-u", "-X", "dev"}},
		{bare, "#!/usr/bin/env python3.12", "", []string{"python3.12"}},
		{bare, "#!/usr/bin/env -S python3.12 -u\n", "", []string{"python3.12", "-u"}},
		{beside, "#!/usr/bin/env python3\n", "", []string{venv}},
		{bare, "#!/usr/bin/env -S python3 -u\n", "/opt/python", []string{"/opt/python"}},
		{bare, "#!\n", "", []string{"python3"}},
	} {
		got := choose(filepath.Join(c.dir, "seed.py"), []byte(c.head), c.named)
		if words := append([]string{got.name}, got.options...); !slices.Equal(words, c.want) {
			t.Errorf("%q with PUMPKIN_PYTHON=%q is run by %q, want %q", c.head, c.named, words, c.want)
		}
	}
}
