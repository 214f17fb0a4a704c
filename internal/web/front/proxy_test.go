package front

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// TestProxy visits the page through proxies that take the path off or leave it, and pass the
// host on or not.
func TestProxy(t *testing.T) {
	for _, strips := range []bool{false, true} {
		for _, keepsHost := range []bool{false, true} {
			t.Run(fmt.Sprintf("strips=%v,host=%v", strips, keepsHost), func(t *testing.T) {
				var f *Front
				proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
						p.SetURL(&url.URL{Scheme: "http", Host: f.addr()})
						p.SetXForwarded()
						p.Out.URL.Path = r.URL.Path
						if strips {
							p.Out.URL.Path = strings.TrimPrefix(r.URL.Path, "/lab/pumpkin")
						}
						if keepsHost {
							p.Out.Host = "pages.example"
						}
					}}).ServeHTTP(w, r)
				}))
				defer proxy.Close()
				base, err := ParseBase(proxy.URL + "/lab/pumpkin/")
				if err != nil {
					t.Fatal(err)
				}
				base.Host = strings.Replace(base.Host, "127.0.0.1", "pages.example", 1)
				f = start(t, Config{Base: base, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })})
				if want := "http://" + base.Host + "/lab/pumpkin/?token="; !strings.HasPrefix(f.Link(Host), want) {
					t.Errorf("the link is %s; expected %s...", f.Link(Host), want)
				}
				jar, err := cookiejar.New(nil)
				if err != nil {
					t.Fatal(err)
				}
				client := &http.Client{Jar: jar}
				defer client.CloseIdleConnections()
				ask := func(method, path string) (status int, body, at string) {
					t.Helper()
					r, err := http.NewRequest(method, proxy.URL+path, nil)
					if err != nil {
						t.Fatal(err)
					}
					if method == http.MethodPost {
						r.Header.Set("Origin", "http://"+base.Host)
					}
					resp, err := client.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					text, err := io.ReadAll(resp.Body)
					if err != nil {
						t.Fatal(err)
					}
					return resp.StatusCode, string(text), resp.Request.URL.Path
				}
				if status, _, _ := ask("GET", "/lab/pumpkin/api/v1/network"); status != http.StatusUnauthorized {
					t.Errorf("reading without a token: %d", status)
				}
				_, token, _ := strings.Cut(f.Link(Host), "?")
				visit := "/lab/pumpkin/?"
				if !strips {
					visit = "/lab/pumpkin?"
				}
				if status, body, at := ask("GET", visit+token); status != http.StatusOK || body != "/" || at != "/lab/pumpkin/" {
					t.Errorf("the link: %d, %q at %s", status, body, at)
				}
				if status, body, _ := ask("GET", "/lab/pumpkin/api/v1/network"); status != http.StatusOK || body != "/api/v1/network" {
					t.Errorf("reading with the cookie: %d, %q", status, body)
				}
				if status, body, _ := ask("POST", "/lab/pumpkin/api/v1/drop"); status != http.StatusOK || body != "/api/v1/drop" {
					t.Errorf("a change with the cookie: %d, %q", status, body)
				}
			})
		}
	}
}

// TestUnknownProxy is not told of a proxy: what comes through one takes the token, whatever
// address it claims, and another name is refused with what to do.
func TestUnknownProxy(t *testing.T) {
	f := start(t, Config{})
	for _, c := range []struct {
		host   string
		head   []string
		status int
		text   string
	}{
		{head: []string{"X-Forwarded-For", "127.0.0.1"}, status: 401},
		{head: []string{"Forwarded", "for=127.0.0.1;host=localhost"}, status: 401},
		{head: []string{"Via", "1.1 cache"}, status: 401},
		{head: []string{"X-Forwarded-For", "192.0.2.1", "Authorization", "Bearer " + f.cfg.Token}, status: 200},
		{host: "pages.example", status: 421, text: fmt.Sprintf("use its address, such as 127.0.0.1:%d; for a proxy, start the node with --http-base https://pages.example", f.port())},
		{host: "pages.example", head: []string{"X-Forwarded-Host", "localhost"}, status: 421},
	} {
		resp := raw(t, f.addr(), "GET", "/api/v1/network", c.host, "", c.head)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.text) {
			t.Errorf("%q, %q: %d %s, %v; expected %d and %q", c.host, c.head, resp.StatusCode, body, err, c.status, c.text)
		}
	}
}

func TestParseBase(t *testing.T) {
	for text, want := range map[string]string{
		"https://example.org": "https://example.org", "https://example.org/": "https://example.org", "http://a:81/x/y/": "http://a:81/x/y", "/x": "/x",
		"example.org/x": "", "ftp://a/x": "", "https:///x": "", "https://a/?q": "", "https://u@a/": "", "": "", "//a/x": "",
	} {
		u, err := ParseBase(text)
		if (err == nil) != (want != "") || err == nil && u.String() != want {
			t.Errorf("%q: %v, %v; expected %q", text, u, err, want)
		}
	}
}
