package inject

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/packet"
)

// TestFileID changes one thing of a file after the other.
func TestFileID(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	at := time.Unix(1e9, 0)
	write := func(text string) {
		put(t, path, text) // keeps the inode
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	of := func(change func(*stat)) packet.ID {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		l := statOf("x", info)
		if l.status == 0 || l.inode == 0 {
			t.Fatalf("%+v", l)
		}
		l.status = 1 // it moves with every change here
		if change != nil {
			change(&l)
		}
		content, err := contentOf(l, file)
		id := fileID(path, l, content)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	write("monday.")
	ids := map[packet.ID]string{of(nil): "monday."}
	if again := of(nil); ids[again] == "" {
		t.Error("the same file has two ids")
	}
	differs := func(what string, id packet.ID) {
		t.Helper()
		if same := ids[id]; same != "" {
			t.Errorf("%s has the id of %s", what, same)
		}
		ids[id] = what
	}
	write("tuesday")
	differs("another content of the same size", of(nil))
	differs("another time", of(func(l *stat) { l.changed++ }))
	differs("another time of status", of(func(l *stat) { l.status++ }))
	differs("another inode", of(func(l *stat) { l.inode++ }))
	for _, size := range []int{0, 1, idBytes - 1, idBytes, idBytes + 1, 2*idBytes - 1, 2 * idBytes, 2*idBytes + 1, 10 * idBytes} {
		text := bytes.Repeat([]byte("x"), size)
		write(string(text))
		differs("a file of another size", of(nil))
		for _, i := range []int{0, idBytes - 1, size - idBytes, size - 1} {
			if i >= 0 && i < size && text[i] == 'x' {
				text[i] = 'y'
				write(string(text))
				differs("a byte that is another", of(nil))
			}
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := contentOf(statOf("x", info), strings.NewReader("short")); !errors.Is(err, errBusy) {
		t.Errorf("a file that has become shorter: %v", err)
	}
}
