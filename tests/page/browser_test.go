package page_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdpnet "github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/recap/pumpkin/internal/testenv"
)

// axe looks for what keeps people out of a page.
//
//go:embed testdata/axe/axe.min.js
var axe string

// actTime is how long something that is waited for in the page may take.
const actTime = 20 * time.Second

// A browser is one tab, and what it complains of.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu        sync.Mutex
	complains []string
}

// open starts a browser, at a page.
func open(t *testing.T, url string) *browser {
	t.Helper()
	path := testenv.Need(t, "chromium")
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 800), chromedp.WSURLReadTimeout(60*time.Second),
		chromedp.DisableGPU, chromedp.Flag("lang", "en"),
	)
	if os.Getuid() == 0 { // whose browser has no sandbox; it opens this page alone
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	origin := url[:strings.Index(url, "/?")]
	if err := chromedp.Listen(ctx, func(event any) { b.hear(event, origin) }); err != nil {
		t.Fatal("start the browser: ", err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, text := range b.complains {
			t.Error("the browser complains: ", text)
		}
	})
	_, logged := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	_, heard := chromedp.Call(ctx, cdpnet.Enable, cdpnet.EnableParams{})
	if err := errors.Join(logged, heard); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate(url))
	return b
}

// hear notes what goes wrong in the page, and what it asks of others.
func (b *browser) hear(event any, origin string) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = fmt.Sprintf("%s %s", e.ExceptionDetails.Text, describe(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			text = fmt.Sprintf("console.%s", e.Type)
			for _, arg := range e.Args {
				text += " " + describe(arg)
			}
		}
	case *log.EventEntryAdded:
		// That something is not there, or not allowed, is an answer, which the page shows.
		answer := strings.Contains(e.Entry.Text, "404 (Not Found)") || strings.Contains(e.Entry.Text, "401 (Unauthorized)")
		if e.Entry.Level == log.EntryLevelError && !answer {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	case *cdpnet.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, origin) && !strings.HasPrefix(u, "blob:"+origin) {
			text = "a request to another place: " + u
		}
	}
	if text != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complains = append(b.complains, text)
	}
}

// describe is a value of the page as people read it.
func describe(value *runtime.RemoteObject) string {
	if value == nil {
		return ""
	}
	return fmt.Sprintf("%s %s", value.Value, value.Description)
}

// do does things in the page.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*actTime)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// give does something in the page that gives a value.
func give[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*actTime)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// eval gives the value of an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	return give(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// await waits until an expression is true in the page.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	testenv.Eventually(told{b.t, b}, actTime, what, func() bool { return eval[bool](b, "Boolean("+expression+")") })
}

// told shows with a failure what the page says.
type told struct {
	testing.TB
	b *browser
}

func (t told) Fatalf(format string, args ...any) {
	t.Helper()
	t.b.shoot("failure")
	t.TB.Fatalf(format+"; the page says:\n%s", append(args, eval[string](t.b, "document.body.innerText"))...)
}

// reads waits until the element says the text.
func (b *browser) reads(selector, text string) {
	b.t.Helper()
	b.await(selector+" says "+text, fmt.Sprintf("(document.querySelector(%q)?.textContent ?? '').replace(/\\s+/g, ' ').includes(%q)", selector, text))
}

// press presses a button by the text on it, in the element.
func (b *browser) press(selector, text string) {
	b.t.Helper()
	button := fmt.Sprintf(`[...document.querySelectorAll(%q)].find((e) => e.innerText.trim() === %q || e.getAttribute('aria-label') === %q)`, selector+" button, "+selector+" a", text, text)
	b.await(text+" can be pressed", button+"?.disabled !== true && "+button)
	eval[bool](b, button+".click(), true")
}

// click clicks what the selector means.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.await(selector+" is there", fmt.Sprintf("document.querySelector(%q)", selector))
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// keys presses keys, one after the other.
func (b *browser) keys(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.do(chromedp.KeyEvent(key))
	}
}

// vertex is the selector of a seed or a state in the graph.
func vertex(id string) string { return fmt.Sprintf("#graph [data-id=%q]", id) }

// shoot keeps a picture where PMK_ARTEFACTS says.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("PMK_ARTEFACTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	picture := give(b, chromedp.CaptureScreenshot())
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "page-"+name+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// screen has the page believe in a screen of that size, and in a scheme of colours.
func (b *browser) screen(width, height int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
	b.media("prefers-color-scheme", scheme)
}

// media has the page believe in what a person prefers.
func (b *browser) media(name, value string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: name, Value: value}},
	}); err != nil {
		b.t.Fatal(err)
	}
}

// accessible looks whether anything keeps people out, in what is shown now.
func (b *browser) accessible(what string) {
	b.t.Helper()
	if !eval[bool](b, "Boolean(window.axe)") {
		b.do(chromedp.Evaluate[chromedp.Void](axe))
	}
	found := eval[string](b, `axe.run({ resultTypes: ['violations'] }).then((r) => JSON.stringify(r.violations.map((v) =>
		({ impact: v.impact, id: v.id, help: v.help, nodes: v.nodes.slice(0, 4).map((n) => n.html.slice(0, 200) + ' ' + (n.failureSummary ?? '')) }))))`)
	var violations []struct {
		Impact, ID, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		say := b.t.Errorf
		if v.Impact == "minor" || v.Impact == "moderate" {
			say = b.t.Logf
		}
		say("%s: axe finds %s, %s: %s\n%s", what, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n"))
	}
}
