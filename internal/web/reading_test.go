package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// TestReadingMakesNothing asks for many names that are none: nothing of them stays.
func TestReadingMakesNothing(t *testing.T) {
	n, _ := serve(t)
	h := Handler(Config{Node: n})
	const each = 3000
	objects := func() int64 {
		runtime.GC()
		runtime.GC() // what the first has finalized
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapObjects)
	}
	for _, path := range []string{
		"/api/v1/states/A:X%d/packets", "/api/v1/network/states/A:W%d/packets", "/api/v1/states/A:Y%d/packets?waiting=true",
		"/api/v1/packets/%032x", "/api/v1/network/packets/%032x", "/api/v1/trace/%032x", "/api/v1/ledgers/%032x", "/nothing%d",
	} {
		read := func(from int) {
			for i := from; i < from+each; i++ {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, fmt.Sprintf(path, i), nil))
				io.Copy(io.Discard, w.Body)
			}
		}
		read(0)
		before := objects()
		read(each)
		if more := objects() - before; more > each/2 {
			t.Errorf("%s: %d objects stay after %d more names", path, more, each)
		}
	}
}
