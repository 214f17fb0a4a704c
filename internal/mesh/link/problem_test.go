package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/recap/pumpkin/packet"
)

// TestCopyOverTheWire has a refusal that names the other node of a data folder: it arrives
// whole, and one that names nothing that can be is a plain error.
func TestCopyOverTheWire(t *testing.T) {
	first := Hello{Protocol: 2, Node: "x", Boot: packet.NewID(), Data: "folder", Started: time.Now().UTC().Round(0), Held: true, Advertise: []string{"a:1"}}
	for _, at := range []string{"", "10.0.0.1:7900"} {
		p, status := problemOf(fmt.Errorf("watch: %w", &CopyError{Hello: first, At: at}))
		text, err := json.Marshal(p)
		if err != nil || status != http.StatusForbidden {
			t.Fatalf("status %d: %v", status, err)
		}
		var read problem
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		var got *CopyError
		if err := read.err(); !errors.As(err, &got) || !errors.Is(err, ErrRefused) || got.At != at || !reflect.DeepEqual(got.Hello, first) {
			t.Errorf("%s is read as %+v", text, got)
		}
	}
	for _, wrong := range []problem{
		{Kind: "copy", Detail: "d"},
		{Kind: "copy", Detail: "d", Hello: &Hello{}},
		{Kind: "copy", Detail: "d", Hello: &first, At: "\x1b[31m"},
	} {
		if err := wrong.err(); errors.As(err, new(*CopyError)) || err.Error() != "d" {
			t.Errorf("%+v is read as %v", wrong, err)
		}
	}
}
