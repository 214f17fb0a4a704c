package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/testenv"
)

// TestUTF16OverHTTP: the first of such requests is told of, of packets alone, and what they bring
// stays as it is.
func TestUTF16OverHTTP(t *testing.T) {
	j := &testenv.Journal{}
	got := ""
	h := (&utf16Watch{log: j.Log()}).handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = string(data)
	}))
	const path = "/api/v1/states/A:B/packets"
	for _, c := range []struct {
		path, data string
		lines      int
	}{
		{path, "text", 0},
		{path, "", 0},
		{"/api/v1/retry", "\xff\xfea\x00", 0},
		{path, "\xff\xfea\x00", 1},
		{path, "\xfe\xff\x00a", 1},
	} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.data)))
		if got != c.data {
			t.Errorf("%q came as %q", c.data, got)
		}
		if n := j.Count("the data of a request to "+path, "UTF-16", "iconv"); n != c.lines {
			t.Errorf("%q to %s: %d lines, want %d:\n%s", c.data, c.path, n, c.lines, j)
		}
	}
}
