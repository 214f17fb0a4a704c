package page_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/internal/web/page"
)

// get asks the page's handler.
func get(path string, head ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	page.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestFiles(t *testing.T) {
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8", "/main.js": "text/javascript; charset=utf-8",
		"/style.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml", "/vendor/lit-html/lit-html.js": "text/javascript; charset=utf-8",
		"/vendor/lit-html/LICENSE": "text/plain; charset=utf-8",
	} {
		resp := get(path)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != kind {
			t.Errorf("%s: %s, %s; expected %s", path, resp.Status, resp.Header.Get("Content-Type"), kind)
		}
		if resp.Header.Get("Content-Security-Policy") != page.Policy || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is served without the policy: %v", path, resp.Header)
		}
		if again := get(path, "If-None-Match", resp.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: the same file is sent again, %s", path, again.Status)
		}
	}
	for _, path := range []string{"/nothing", "/assets/index.html", "/../page.go", "/vendor", "/vendor/lit-html/"} {
		if resp := get(path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// TestBesideTheAPI: the page does not stand where the API is.
func TestBesideTheAPI(t *testing.T) {
	n := node.New(node.Config{Name: "test", Store: pebble.InMemory(pebble.Config{}), Blobs: blob.Open(blob.Config{})})
	h := web.Handler(web.Config{Node: n, Page: page.Handler()})
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/api/v1/nothing": "application/problem+json", "/api/v1/packets": "application/problem+json", "/api/v1/status": "application/json",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Header().Get("Content-Type"); got != kind {
			t.Errorf("%s is answered as %s, want %s", path, got, kind)
		}
	}
}

// TestOwnFilesAlone: nothing is written into the page that its policy forbids, and
// nothing that asks another host.
func TestOwnFilesAlone(t *testing.T) {
	never := map[string]*regexp.Regexp{
		"an inline script or style": regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+="`),
		"markup made of strings":    regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|unsafeHTML|unsafeSVG|\beval\(|new Function`),
		"another host":              regexp.MustCompile(`https?://`),
	}
	err := fs.WalkDir(os.DirFS("assets"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "vendor/") {
			return err
		}
		data, err := os.ReadFile(filepath.Join("assets", name))
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(data), "http://www.w3.org/2000/svg", "") // a name, which nobody asks for
		for what, pattern := range never {
			if found := pattern.FindString(text); found != "" {
				t.Errorf("%s has %s: %q", name, what, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestVendored: other people's files are as they were published, and small.
func TestVendored(t *testing.T) {
	sums := map[string]string{
		"lit-html/directive-helpers.js": "784b94f8f7995de124d2f63bc70f8ed8c8ba6731c7e5deeb96176462cc7f4e7b",
		"lit-html/directive.js":         "28d10666ee53ea4177bd2d5a53e85f0c4b8a09641289f6899206feec12d758df",
		"lit-html/directives/live.js":   "9072b8f085b32f0ede1add94e7ef8706864bff17cc334c275630b19f48c9e09c",
		"lit-html/directives/repeat.js": "34e618f670a0b84d5a012dac581aa9ff48b7f0fc13114abce252e23f75560fc6",
		"lit-html/lit-html.js":          "22115ca1002e4afc0dd2cb208f28d9c71a577a8989d4185028e26b29676e7842",
	}
	size := 0
	err := fs.WalkDir(os.DirFS("assets/vendor"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".js" {
			return err
		}
		data, err := os.ReadFile(filepath.Join("assets/vendor", name))
		if err != nil {
			return err
		}
		size += len(data)
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); sums[name] != got {
			t.Errorf("%s has the sum %s; expected %q", name, got, sums[name])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > 50<<10 {
		t.Errorf("other people's scripts take %d bytes; at most 50 KiB are meant to", size)
	}
}

// TestRelative: the page asks for nothing by a path from the root, since a proxy may have
// it below another.
func TestRelative(t *testing.T) {
	rooted := regexp.MustCompile("(href|src)=[\"']?/|(fetch|EventSource|import|from|url)[ (]*[\"'`]?/[a-z]")
	err := fs.WalkDir(os.DirFS("assets"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "vendor/") {
			return err
		}
		text, err := os.ReadFile(filepath.Join("assets", name))
		if found := rooted.Find(text); found != nil {
			t.Errorf("%s has a path from the root: %s", name, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
