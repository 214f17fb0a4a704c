package page_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdpnet "github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/packet"
)

// TestPage walks through the page of a running network of three nodes as a person
// would.
func TestPage(t *testing.T) {
	nodes := network(t, "alpha", "beta", "gamma")
	var fixed atomic.Bool
	var greeted, done basket
	nodes[0].host("greet", "String:UNGREETED -> String:GREETING", say("Hello "))
	nodes[1].host("greet", "String:UNGREETED -> String:GREETING", say("Hello "))
	nodes[2].host("print", "String:GREETING ->", greeted.run)
	nodes[1].host("fragile", "Order:NEW -> Order:DONE", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
		if !fixed.Load() {
			return errors.New("the shop is closed")
		}
		return emit("", in.Data)
	})
	nodes[2].host("keep", "Order:DONE ->", done.run)

	b := open(t, link(t, nodes[0].api))
	b.await("the graph shows a seed", fmt.Sprintf("document.querySelector(%q)", vertex("seed:greet")))
	b.reads("#bar", "3 nodes")
	b.reads("#bar", "live · alpha")

	t.Run("a seed comes and goes", func(t *testing.T) { b.on(t).comesAndGoes(nodes[1]) })
	t.Run("a packet is sent and followed", func(t *testing.T) { b.on(t).sends(&greeted) })
	t.Run("script in data", func(t *testing.T) { b.on(t).shows(nodes[1]) })
	t.Run("a failed packet", func(t *testing.T) { b.on(t).retries(nodes[0], &fixed, &done) })
	t.Run("pausing", func(t *testing.T) { b.on(t).pauses() })
	t.Run("nodes that are not reached", func(t *testing.T) { b.on(t).misses() })
	t.Run("by keyboard", func(t *testing.T) { b.on(t).walks() })
	t.Run("for everybody", func(t *testing.T) { b.on(t).looks() })
	t.Run("without the token", func(t *testing.T) { b.on(t).mayNot(&greeted) })
}

// on is the browser in a test within the test that opened it.
func (b *browser) on(t *testing.T) *browser {
	before := b.t
	t.Cleanup(func() { b.t = before })
	b.t = t
	return b
}

// comesAndGoes sees a seed come on another node, within a second, and go, while the
// others stay where they are.
func (b *browser) comesAndGoes(m *member) {
	where := fmt.Sprintf("document.querySelector(%q).getAttribute('transform')", vertex("seed:greet"))
	before := eval[string](b, where)
	there := fmt.Sprintf("document.querySelector(%q)", vertex("seed:late"))
	least := time.Hour
	for range 3 { // a busy machine is late now and then
		begun := time.Now()
		m.host("late", "String:GREETING -> String:LATE", say(""))
		b.await("the seed has come", there)
		least = min(least, time.Since(begun))
		b.await("its state has come", fmt.Sprintf("document.querySelector(%q)", vertex("state:String:LATE")))
		m.Unhost("late")
		b.await("the seed has gone", "!"+there)
	}
	b.t.Logf("a seed on another node is seen after %v", least)
	if least > time.Second {
		b.t.Errorf("a seed is seen after %v; expected a second at most", least)
	}
	if after := eval[string](b, where); after != before {
		b.t.Errorf("another seed went from %s to %s", before, after)
	}
	b.reads("#news", "Seed late has gone on beta")
}

// sends sends a packet by hand into a state, and follows it to its end.
func (b *browser) sends(greeted *basket) {
	b.click(vertex("state:String:UNGREETED"))
	b.click("#panel textarea")
	b.keys("by hand")
	b.press("#panel .send", "Send")
	b.await("the packet can be followed", "document.querySelector('#panel .send a')")
	eval[bool](b, "document.querySelector('#panel .send a').click(), true")
	b.reads("#panel h2", "Packet")
	b.reads("#panel", "Everything that came of it has finished: 2 runs")
	b.shoot("followed")
	if !greeted.has("Hello by hand") {
		b.t.Errorf("the seed has got %q", greeted.got)
	}
	eval[bool](b, "history.back(), true")
	b.reads("#panel h2", "State String:UNGREETED")
}

// shows has data that a careless page would run; the page shows it.
func (b *browser) shows(m *member) {
	evil := `<img src=x onerror="window.ran=1"><script>window.ran=1</script>`
	m.inject("String:GREETNG", evil)
	m.inject("String:GREETNG", `{"html": "<b onmouseover=window.ran=1>", "n": 12345678901234567890}`)
	m.inject("String:GREETNG", "\x89PNG\r\n\x1a\n no image at all \xff")
	m.inject("String:GREETNG", onePixel)
	b.await("the state waits", fmt.Sprintf("document.querySelector(%q)?.classList.contains('waits')", vertex("state:String:GREETNG")))
	b.reads("#bar", "4 waiting")
	b.click(vertex("state:String:GREETNG"))
	b.reads("#panel", "nearest accepted: String:GREETING")
	b.await("the data is text", fmt.Sprintf("[...document.querySelectorAll('#panel .packets pre')].some((e) => e.textContent === %q)", evil))
	b.reads("#panel .packets", `"n": 12345678901234567890`)
	b.await("the image is shown", "[...document.querySelectorAll('#panel .data img')].some((e) => e.naturalWidth === 1)")
	if eval[bool](b, "'ran' in window || document.querySelector('#panel .packets script, #panel .packets b') !== null") {
		b.t.Error("data was run, or became a part of the page")
	}
	b.press("#panel .packets li:nth-child(4) .ways", "hex")
	b.reads("#panel .packets li:nth-child(4) pre", "89 50 4e 47")
	b.accessible("a state's panel")
}

// onePixel is an image in PNG.
const onePixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\xdac\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x56\xc7\x2f\x0d\x00\x00\x00\x00IEND\xaeB`\x82"

// retries has a packet fail, is asked before it is dropped, and sends it on again.
func (b *browser) retries(m *member, fixed *atomic.Bool, done *basket) {
	m.inject("Order:NEW", "12 pumpkins")
	failed := vertex("state:Error:fragile")
	b.await("the packet has failed", fmt.Sprintf("document.querySelector(%q)?.classList.contains('failed')", failed))
	b.click(vertex("seed:fragile"))
	b.reads("#panel", "the shop is closed")
	b.accessible("a seed's panel")
	b.click(failed)
	b.reads("#panel .packets", "the shop is closed")
	b.reads("#panel .packets", "12 pumpkins")
	b.shoot("failed")
	b.press("#panel", "Drop all")
	b.await("it asks first", "document.querySelector('#ask').open")
	b.accessible("the question")
	b.keys(kb.Escape)
	b.await("the question is gone", "!document.querySelector('#ask').open")
	b.reads("#panel .packets", "12 pumpkins")
	fixed.Store(true)
	b.press("#panel", "Retry all")
	b.reads("#panel", "1 packet sent on again")
	b.await("nothing has failed any more", fmt.Sprintf("!document.querySelector(%q)", failed))
	if !done.has("12 pumpkins") {
		b.t.Error("what was sent on again has not come through")
	}
	b.click(vertex("state:String:GREETNG"))
	b.press("#panel", "Drop all")
	b.await("it asks first", "document.querySelector('#ask').open")
	b.press("#ask", "Drop")
	b.reads("#bar", "0 waiting")
}

// pauses has a seed take nothing more, on all nodes.
func (b *browser) pauses() {
	b.click(vertex("seed:greet"))
	b.press("#panel", "Pause")
	b.reads("#panel", "Paused on alpha, beta")
	b.reads(vertex("seed:greet"), "paused")
	b.press("#panel", "Resume")
	b.await("the seed runs again", fmt.Sprintf("!document.querySelector(%q).classList.contains('paused')", vertex("seed:greet")))
}

// walks goes along the graph with the keys alone.
func (b *browser) walks() {
	eval[bool](b, fmt.Sprintf("document.querySelector(%q).focus(), true", vertex("state:String:UNGREETED")))
	at := func(id string) {
		b.t.Helper()
		b.await("the keyboard is at "+id, fmt.Sprintf("document.activeElement.dataset.id === %q", id))
	}
	b.keys(kb.Escape)
	b.await("the panel is closed", "document.querySelector('#panel').hidden")
	eval[bool](b, fmt.Sprintf("document.querySelector(%q).focus(), true", vertex("state:String:UNGREETED")))
	b.keys(kb.ArrowRight)
	at("seed:greet")
	b.keys(kb.ArrowRight)
	at("state:String:GREETING")
	b.keys(kb.ArrowLeft)
	at("seed:greet")
	b.keys(kb.Enter)
	b.reads("#panel h2", "Seed greet")
	b.await("the panel has the keyboard", "document.querySelector('#panel').contains(document.activeElement)")
	b.keys(kb.Escape)
	at("seed:greet")
	b.search("frag")
	b.keys(kb.Enter)
	at("seed:fragile")
	b.search("")
	b.keys("t")
	b.reads("#table", "String:UNGREETED -> String:GREETING")
	b.accessible("the table")
	b.search("keep")
	b.await("the table has what was found alone", "!/fragile/.test(document.querySelector('#table').textContent) && /keep/.test(document.querySelector('#table').textContent)")
	b.search("")
	b.keys("t", "n")
	b.reads("#panel h2", "3 nodes")
	b.reads("#panel", "gamma")
	b.accessible("the nodes")
	b.keys(kb.Escape)
}

// search writes into the search; "" leaves it empty, and leaves it.
func (b *browser) search(text string) {
	b.t.Helper()
	b.keys("/")
	b.await("the search has the keyboard", "document.activeElement.type === 'search'")
	if text == "" {
		eval[bool](b, "(() => { const e = document.activeElement; e.value = ''; e.dispatchEvent(new Event('input')); e.blur(); return true; })()")
		return
	}
	eval[bool](b, "document.activeElement.select(), true") // what the key has left, which comes of the test's keyboard alone
	b.keys(text)
}

// looks takes pictures, in light, dark, and as wide as a phone, and looks whether
// anybody is kept out.
func (b *browser) looks() {
	for _, look := range []struct {
		name          string
		width, height int64
		scheme        string
	}{
		{"light", 1280, 800, "light"}, {"dark", 1280, 800, "dark"}, {"phone", 360, 740, "light"},
	} {
		b.screen(look.width, look.height, look.scheme)
		b.click(vertex("seed:greet"))
		b.reads("#panel h2", "Seed greet")
		b.accessible(look.name)
		if wide := eval[int](b, "document.documentElement.scrollWidth"); int64(wide) > look.width {
			b.t.Errorf("%s: the page is %d wide on a screen of %d", look.name, wide, look.width)
		}
		b.shoot(look.name)
		b.keys(kb.Escape)
		if look.name == "phone" {
			b.shoot("phone-graph")
		}
	}
}

// outsiders is a node that is not reached, of a name that a careless page would run.
func outsiders() []mesh.Outsider {
	return []mesh.Outsider{{
		Node: "<b onmouseover=window.ran=1>", At: "tcp://10.0.0.9:7900", By: mesh.ByBeacon, Reason: mesh.NoAnswer,
		Why: mesh.NoAnswer.Why(), Next: mesh.NoAnswer.Next(7900), Since: time.Now(), Seen: time.Now(),
	}}
}

// misses reads which node is not reached, and what to do.
func (b *browser) misses() {
	b.keys("n")
	b.reads("#panel .outsiders", "<b onmouseover=window.ran=1> at tcp://10.0.0.9:7900: it does not answer: open TCP port 7900 there")
	b.keys(kb.Escape)
}

// mayNot tries to send without the token, and is told why it does not work.
func (b *browser) mayNot(greeted *basket) {
	if _, err := chromedp.Call(b.ctx, cdpnet.ClearBrowserCookies, cdp.Empty{}); err != nil {
		b.t.Fatal(err)
	}
	b.screen(1280, 800, "light")
	b.click(vertex("state:String:UNGREETED"))
	b.click("#panel textarea")
	b.keys("by nobody")
	b.press("#panel .send", "Send")
	b.reads("#panel .send", "the token is missing or wrong: open the link that the node prints at its start")
	if greeted.has("Hello by nobody") {
		b.t.Error("it was sent all the same")
	}
}
