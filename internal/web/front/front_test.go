package front

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/mesh/key"
)

// start runs a front whose handler says how much of a body it has got.
func start(t *testing.T, cfg Config) *Front {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	if cfg.Handler == nil {
		cfg.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			} else if err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
			fmt.Fprintf(w, "%d bytes", n)
		})
	}
	f, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *Front) addr() string { return f.listener.Addr().String() }

// TestWhoIsLetIn sends what a user, a script, and pages of others may make a browser
// send.
func TestWhoIsLetIn(t *testing.T) {
	f := start(t, Config{Token: "right", MaxBody: 100})
	cookie := "pumpkin_" + strconv.Itoa(f.port()) + "="
	for _, c := range []struct {
		name, method, path, host, body string
		head                           []string // key, value, ...
		status                         int
	}{
		{name: "reading", path: "/api/v1/network"},
		{name: "the page", path: "/"},
		{name: "by name", path: "/", host: "localhost"},
		{name: "through a tunnel", path: "/", host: "localhost:8080"},
		{name: "by the other loopback address", path: "/", host: "[::1]:80"},
		{name: "a script with the token", method: "POST", path: "/api/v1/drop", head: []string{"Authorization", "Bearer right"}},
		{name: "the page with the cookie", method: "POST", path: "/api/v1/drop", head: []string{"Cookie", cookie + "right", "Sec-Fetch-Site", "same-origin", "Origin", "http://" + f.addr()}},
		{name: "a link to the page elsewhere", path: "/", head: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}},

		{name: "no token", method: "POST", path: "/api/v1/drop", status: 401},
		{name: "no token, another method", method: "DELETE", path: "/api/v1/ledgers/1", status: 401},
		{name: "a method that is none", method: "STEER", path: "/api/v1/drop", status: 401},
		{name: "a wrong token", method: "POST", path: "/api/v1/drop", head: []string{"Authorization", "Bearer wrong"}, status: 401},
		{name: "an empty token", method: "POST", path: "/api/v1/drop", head: []string{"Authorization", "Bearer "}, status: 401},
		{name: "a wrong token beside the right cookie", method: "POST", path: "/", head: []string{"Authorization", "Bearer wrong", "Cookie", cookie + "right"}, status: 401},
		{name: "a token of another kind", method: "POST", path: "/", head: []string{"Authorization", "Basic right"}, status: 401},
		{name: "a wrong cookie", method: "POST", path: "/", head: []string{"Cookie", cookie + "wrong"}, status: 401},
		{name: "the cookie of another node", method: "POST", path: "/", head: []string{"Cookie", "pumpkin_1=right"}, status: 401},
		{name: "the token in the address of a post", method: "POST", path: "/?token=right", status: 401},
		{name: "the token of a link to the API", method: "POST", path: "/api/v1/drop?token=right", status: 401},
		{name: "a link with a wrong token", path: "/?token=wrong", status: 401},

		{name: "rebinding", path: "/api/v1/network", host: "evil.example", status: 421},
		{name: "rebinding with the port", path: "/", host: "evil.example:" + strconv.Itoa(f.port()), status: 421},
		{name: "rebinding with the token", method: "POST", path: "/", host: "localhost.evil.example", head: []string{"Authorization", "Bearer right"}, status: 421},
		{name: "an address that is not loopback", path: "/", host: "192.0.2.1", status: 421},
		{name: "no host", path: "/", host: " ", status: 400},

		{name: "a post of another site", method: "POST", path: "/api/v1/drop", head: []string{"Cookie", cookie + "right", "Sec-Fetch-Site", "cross-site"}, status: 403},
		{name: "a post of another port", method: "POST", path: "/api/v1/drop", head: []string{"Cookie", cookie + "right", "Sec-Fetch-Site", "same-site"}, status: 403},
		{name: "a post of another origin by an old browser", method: "POST", path: "/api/v1/drop", head: []string{"Cookie", cookie + "right", "Origin", "http://evil.example"}, status: 403},
		{name: "a post of no origin", method: "POST", path: "/api/v1/drop", head: []string{"Cookie", cookie + "right", "Origin", "null"}, status: 403},
		{name: "reading by another site", path: "/api/v1/network/events", head: []string{"Sec-Fetch-Site", "cross-site"}, status: 403},

		{name: "as large as may be", method: "POST", path: "/", body: strings.Repeat("x", 100), head: []string{"Authorization", "Bearer right"}},
		{name: "a body that is too large", method: "POST", path: "/", body: strings.Repeat("x", 101), head: []string{"Authorization", "Bearer right"}, status: 413},
		{name: "a body that does not say how large it is", method: "POST", path: "/", body: strings.Repeat("x", 101), head: []string{"Authorization", "Bearer right", "Transfer-Encoding", "chunked"}, status: 413},
		{name: "a header that is too large", path: "/", head: []string{"X", strings.Repeat("x", maxHeader+8<<10)}, status: 431},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp := raw(t, f.addr(), c.method, c.path, c.host, c.body, c.head)
			want := c.status
			if want == 0 {
				want = http.StatusOK
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil && want != 431 || resp.StatusCode != want { // of a request that is not read to its end the answer may be cut off
				t.Errorf("%s %s, %v; expected %d", resp.Status, body, err, want)
			}
			if want == 401 || want == 403 || want == 421 {
				var problem struct{ Detail string }
				if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" || json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
					t.Errorf("it is refused with %s: %s", kind, body)
				}
			}
			if want == 401 && resp.Header.Get("WWW-Authenticate") == "" && !strings.Contains(c.path, "?token=wrong") {
				t.Error("it does not say how to show a token")
			}
			if want >= 400 && resp.Header.Get("Set-Cookie") != "" {
				t.Error("a cookie is given with an error")
			}
		})
	}
}

// raw sends a request as it stands, which no client would.
func raw(t *testing.T, addr, method, path, host, body string, head []string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if method == "" {
		method = http.MethodGet
	}
	if host == "" {
		host = addr
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nConnection: close\r\n", method, path)
	if host != " " {
		fmt.Fprintf(&b, "Host: %s\r\n", host)
	}
	chunked := false
	for i := 0; i < len(head); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", head[i], head[i+1])
		chunked = chunked || head[i+1] == "chunked"
	}
	if chunked {
		fmt.Fprintf(&b, "\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	} else {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestLink: a visit of the link gives the cookie, and the token leaves the address.
func TestLink(t *testing.T) {
	f := start(t, Config{})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	defer client.CloseIdleConnections()
	resp, err := client.Get(f.Link(""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if at := resp.Request.URL; resp.StatusCode != http.StatusOK || at.RawQuery != "" || at.Path != "/" {
		t.Errorf("the link leads to %s, %s", at, resp.Status)
	}
	given := resp.Request.Response.Header.Get("Set-Cookie")
	for _, word := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(given, word) {
			t.Errorf("the cookie is %q, without %s", given, word)
		}
	}
	if resp, err = client.Post(f.URL("")+"api/v1/drop", "application/json", strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Errorf("after the visit a change is answered %s", resp.Status)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": policy,
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q; expected %q", name, got, want)
		}
	}
	if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("the policy is %s", policy)
	}
}

// TestFar: from other machines there is TLS alone, and everything needs the token.
func TestFar(t *testing.T) {
	if _, err := Open(Config{Address: "0.0.0.0:0", Token: "right"}); err == nil {
		t.Fatal("an address for all is served without TLS")
	}
	page, err := key.New().Group("default").Page([]string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Address: "0.0.0.0:0", TLS: page.TLS}); err == nil {
		t.Fatal("an address for all is served without a token of the key")
	}
	f := start(t, Config{Address: "0.0.0.0:0", TLS: page.TLS, Token: "right"})
	at := f.URL("127.0.0.1")
	if !strings.HasPrefix(at, "https://127.0.0.1:") {
		t.Fatalf("it is reached at %s", at)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		path, token, host string
		status            int
	}{
		{"", "", "", 401}, {"api/v1/network", "", "", 401}, {"healthz", "", "", 401}, {"api/v1/network", "wrong", "", 401},
		{"", "right", "", 200}, {"api/v1/network", "right", "", 200}, {"api/v1/network", "right", "192.0.2.1", 200},
		{"api/v1/network", "right", "evil.example", 421},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if req.Host = c.host; c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != c.status || resp.ProtoMajor != 2 {
			t.Errorf("/%s with the token %q at %q: %s %s; expected %d", c.path, c.token, c.host, resp.Proto, resp.Status, c.status)
		}
	}
	plain, err := http.Get("http://" + strings.TrimPrefix(at, "https://"))
	if err == nil {
		if plain.Body.Close(); plain.StatusCode < 400 {
			t.Errorf("without TLS it is answered %s", plain.Status)
		}
	}
}

// TestSlowClients: who sends nothing is sent away, and the node's own time is not
// the client's.
func TestSlowClients(t *testing.T) {
	const patience = 200 * time.Millisecond
	handled := make(chan error, 1)
	f := start(t, Config{Token: "right", Patience: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/thinks" {
			io.Copy(io.Discard, r.Body)
			select {
			case <-time.After(3 * patience): // longer than a client may take
			case <-r.Context().Done():
			}
			handled <- r.Context().Err()
			return
		}
		_, err := io.Copy(io.Discard, r.Body)
		handled <- err
	})})
	for _, text := range []string{"", "GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer right\r\nContent-Length: 10\r\n\r\nhalf"} {
		conn, err := net.Dial("tcp", f.addr())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q: the connection stays: %v", text, err)
		}
		conn.Close()
	}
	if err := <-handled; err == nil {
		t.Error("half of a body was taken for all of it")
	}
	resp := raw(t, f.addr(), "POST", "/thinks", "", "abc", []string{"Authorization", "Bearer right"})
	if err := <-handled; err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("while the node thinks the request ends: %v, %s", err, resp.Status)
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:7811": true, "localhost:0": true, "[::1]:80": true, "127.9.9.9:1": true, "[::ffff:127.0.0.1]:1": true,
		":7811": false, "0.0.0.0:7811": false, "[::]:7811": false, "192.0.2.1:80": false,
	} {
		if near, err := Loopback(address); err != nil || near != want {
			t.Errorf("%s: %t, %v; expected %t", address, near, err, want)
		}
	}
	for _, address := range []string{"", "7811", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "host.example:80", "http://127.0.0.1:80"} {
		if _, err := Loopback(address); err == nil || !strings.Contains(err.Error(), strconv.Quote(address)) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// TestNextPort: a port that is taken is passed over, an address that was asked for
// is not.
func TestNextPort(t *testing.T) {
	f := start(t, Config{})
	next, err := listenFrom(f.port())
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got := next.Addr().(*net.TCPAddr).Port; got <= f.port() {
		t.Errorf("the next port after %d is %d", f.port(), got)
	}
	if _, err := Open(Config{Address: f.addr()}); err == nil {
		t.Error("an address that is taken was opened")
	}
	if _, err := listenFrom(-1 - ports); !errors.Is(err, ErrNoPort) {
		t.Errorf("ports that are none: %v", err)
	}
}

// TestStrangers opens many connections without a token: whoever has one, or comes later, is
// answered all the same, and what has shown one stays.
func TestStrangers(t *testing.T) {
	f := start(t, Config{})
	ask := func(conn net.Conn, head string) error {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n%s\r\n", f.addr(), head); err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", f.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	token := "Authorization: Bearer " + f.cfg.Token + "\r\n"
	known, unknown := dial(), dial()
	if err := errors.Join(ask(known, token), ask(unknown, "")); err != nil {
		t.Fatal(err)
	}
	for range 2 * maxConnections {
		dial()
	}
	if err := ask(dial(), ""); err != nil {
		t.Errorf("who comes later is not answered: %v", err)
	}
	if err := ask(known, ""); err != nil {
		t.Errorf("what has shown the token is gone: %v", err)
	}
	if err := ask(unknown, ""); err == nil {
		t.Error("the oldest stranger has a place still")
	}
}

// TestLimit counts places: none is lost, whichever way a connection goes.
func TestLimit(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, 3, 2)
	defer l.Close()
	accept := func() *placed {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c.(*placed)
	}
	want := func(known, unknown int) {
		t.Helper()
		if l.known != known || l.unknown.Len() != unknown {
			t.Errorf("%d known and %d unknown; expected %d and %d", l.known, l.unknown.Len(), known, unknown)
		}
	}
	first, second := accept(), accept()
	first.know()
	first.know()
	want(1, 1)
	second.know() // there is no place for another
	want(1, 1)
	accept()
	want(1, 2)
	third := accept()
	want(1, 2)
	second.Close() // was displaced
	want(1, 2)
	third.Close()
	third.Close()
	third.know()
	want(1, 1)
	first.Close()
	first.Close()
	want(0, 1)
}
