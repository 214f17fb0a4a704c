package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestNamesInTheLog come whole, whatever their bytes are.
func TestNamesInTheLog(t *testing.T) {
	var out bytes.Buffer
	newLog(&out, false).Info("taken from M\374ller", "file", "in/M\374ller 1.pkt", "error", errors.New("open M\374ller.pkt: \"no\""), "node", "Müller")
	const want = `INFO  taken from M\xfcller file="in/M\\xfcller 1.pkt" error="open M\\xfcller.pkt: \"no\"" node=Müller`
	if got := strings.TrimSpace(out.String()); got != want {
		t.Errorf("the line is\n%s, want\n%s", got, want)
	}
}
