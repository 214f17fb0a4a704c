// Package page is the live page of a node: files that a browser loads once, and
// that then ask the API for everything they show.
//
// The files in assets are written by hand as modules that browsers run as they
// are: nothing builds them. Begin reading with main.js. feed.js follows the
// network, model.js holds its state, layout.js places it, graph.js draws it, dots.js
// moves the packets, and panel.js and the files that it opens show one seed, state or
// packet. assets/vendor holds libraries, as they were published.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// Policy is the content security policy of the page: it loads its own files
// alone, talks to its own node alone, and has images only of what it made itself
// of a packet's data. Strings become markup nowhere but in the templates of
// lit-html, which hold no data.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html"

// A file is one that is served, as it is served.
type file struct {
	data []byte
	kind string
	tag  string
}

// Handler serves the page at / and its files beside it.
func Handler() http.Handler {
	files, err := load()
	if err != nil {
		panic(fmt.Sprintf("the page within this program: %v", err))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		f, ok := files[name]
		if !ok {
			http.Error(w, "there is no such file; the page is at /", http.StatusNotFound)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("ETag", f.tag)
		h.Set("Cache-Control", "no-cache") // asked for anew, since the program may be another
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
	})
}

// load reads all files.
func load() (map[string]file, error) {
	files := map[string]file{}
	err := fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		kind := kindOf(name)
		if kind == "" {
			return errors.New("no kind is known for " + name)
		}
		sum := sha256.Sum256(data)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		files[strings.TrimPrefix(name, "assets/")] = file{data: data, kind: kind, tag: tag}
		return nil
	})
	return files, err
}

// kindOf is the media type of a file. The system's table is not asked: it may say
// anything.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".md", "":
		return "text/plain; charset=utf-8"
	}
	return ""
}
