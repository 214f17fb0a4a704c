package front

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/api"
)

// A guard lets requests in.
type guard struct {
	next     http.Handler
	near     bool   // the address is loopback
	free     bool   // reading takes no token
	at       string // an address of this node, for people
	base     string // the path that users find it below; "" is none
	token    [sha256.Size]byte
	cookie   string
	secure   bool
	names    []string // hosts that are no addresses
	origins  http.CrossOriginProtection
	maxBody  int64
	patience time.Duration
}

func newGuard(cfg Config, near bool, port int) *guard {
	g := &guard{
		next: cfg.Handler, near: near, token: sha256.Sum256([]byte(cfg.Token)), secure: cfg.TLS != nil, maxBody: cfg.MaxBody, patience: cfg.Patience,
		// Cookies are of a host, whatever the port: nodes beside each other have one
		// each.
		cookie: "pumpkin_" + strconv.Itoa(port),
		names:  []string{"localhost"},
		free:   near && cfg.Base == nil,
		at:     net.JoinHostPort(Host, strconv.Itoa(port)),
	}
	if cfg.Base != nil {
		g.base = cfg.Base.Path
		if cfg.Base.Host != "" {
			g.names = append(g.names, strings.ToLower(cfg.Base.Hostname()))
			g.secure = g.secure || cfg.Base.Scheme == "https"
			// Its only error is an origin that is none.
			_ = g.origins.AddTrustedOrigin(cfg.Base.Scheme + "://" + cfg.Base.Host)
		}
	}
	if name, err := os.Hostname(); err == nil && !near {
		name = strings.ToLower(name)
		g.names = append(g.names, name, name+".local")
	}
	return g
}

// policy is what a page from here may do: load what lies here, and show images that
// its own script has made of data.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if forData(r) {
		h.Set("Cache-Control", "no-store")
	}
	if !g.below(w, r) {
		return
	}
	shown := g.hasToken(r)
	if shown {
		know(r.Context())
	}
	switch {
	case !g.knows(r.Host):
		refuse(w, http.StatusMisdirectedRequest, fmt.Sprintf("the host %q is not this node: use its address, such as %s; for a proxy, start the node with --http-base https://%s", r.Host, g.at, r.Host))
	case !g.ownOrigin(r):
		refuse(w, http.StatusForbidden, "the request comes from another site than this node's own page")
	case r.Method == http.MethodGet && r.URL.Path == "/" && r.URL.Query().Has("token"):
		g.admit(w, r)
	case g.needsToken(r) && !shown:
		h.Set("WWW-Authenticate", `Bearer realm="pumpkin"`)
		refuse(w, http.StatusUnauthorized, "the token is missing or wrong: open the link that the node prints at its start, or send the header Authorization: Bearer TOKEN; on another address than loopback it is what 'pmk key token' prints")
	case r.ContentLength > g.maxBody:
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has %d bytes; at most %d are allowed", r.ContentLength, g.maxBody))
	default:
		paced, done := pace(w, r, g.patience)
		defer done()
		r.Body = http.MaxBytesReader(w, r.Body, g.maxBody)
		g.next.ServeHTTP(paced, r)
	}
}

// forData tells whether a request is for data, not for what a page is made of.
func forData(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/metrics"
}

// knows tells whether the host of a request is this machine. An address cannot be
// made to lead elsewhere; a name can, by whoever owns it.
func (g *guard) knows(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip, err := netip.ParseAddr(host); err == nil {
		return !g.near || ip.Unmap().IsLoopback()
	}
	return slices.Contains(g.names, strings.ToLower(host))
}

// ownOrigin tells whether a request is not one that a page of another site has made
// the browser send.
func (g *guard) ownOrigin(r *http.Request) bool {
	if forData(r) {
		switch r.Header.Get("Sec-Fetch-Site") {
		case "", "none", "same-origin":
		default:
			return false
		}
	}
	return g.origins.Check(r) == nil
}

func (g *guard) needsToken(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return !g.free || proxied(r)
	}
	return true
}

// proxied tells whether a proxy says that it has passed the request on: then it is not
// known who asks. Nothing else is believed of what such headers say.
func proxied(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// below takes the base off the path, where the proxy has not. It answers a request for the
// base itself, below which the page's own files would not be found, and then is false.
func (g *guard) below(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, g.base)
	switch {
	case g.base == "" || !ok:
	case rest == "":
		to := g.base[strings.LastIndexByte(g.base, '/')+1:] + "/"
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return false
	case rest[0] == '/':
		r.URL.Path = rest
		r.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, g.base)
	}
	return true
}

func (g *guard) hasToken(r *http.Request) bool {
	if kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(kind, "Bearer") {
		return g.is(token)
	}
	cookie, err := r.Cookie(g.cookie)
	return err == nil && g.is(cookie.Value)
}

// is compares in the same time for every wrong token.
func (g *guard) is(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// admit answers the visit of a link with a token: the cookie has it from here on, and
// the address of the page does not.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	if !g.is(token) {
		refuse(w, http.StatusUnauthorized, "the token of this link is not that of the node: the node may use another data folder now; open the link that it printed last")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: g.cookie, Value: token, Path: g.base + "/", HttpOnly: true, Secure: g.secure, SameSite: http.SameSiteStrictMode})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", "./") // wherever that is for the browser
	w.WriteHeader(http.StatusSeeOther)
}

// refuse answers a problem document (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", api.ProblemType)
	w.WriteHeader(status)
	// An error here is the client's going away.
	json.NewEncoder(w).Encode(api.Problem{Title: http.StatusText(status), Status: status, Detail: detail})
}
