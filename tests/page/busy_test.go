package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/internal/web/page"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// busyRate is how many packets a second have to move while the page is measured.
const busyRate = 10_000

// mostFrame is what 19 of 20 frames may take.
const mostFrame = 50.0 // ms

// A frameReport is what the page has measured of itself.
type frameReport struct {
	Count    int
	P50, P95 float64 // ms
}

// TestBusy: while 10,000 packets a second move through the network, the page stays
// smooth.
func TestBusy(t *testing.T) {
	n := network(t, "alpha")[0]
	for i := range 4 {
		n.host(seed.Name(fmt.Sprintf("step%d", i)), fmt.Sprintf("Step:N%d -> Step:N%d", i, i+1), say(""))
	}
	n.host("sink", "Step:N4 ->", new(counter).run)
	n.host("source", "-> Step:N0", source)

	b := open(t, link(t, n.api))
	b.await("dots move", "window.pumpkin?.frames().count > 10")
	smooth(t, b, "busy", func() uint64 { return runs(t, n) })
	calm(b)
}

// calm: for who wants no motion nothing moves, while the figures still do.
func calm(b *browser) {
	b.t.Helper()
	b.media("prefers-reduced-motion", "reduce")
	line := fmt.Sprintf("document.querySelector(%q).textContent", vertex("seed:sink"))
	before := eval[string](b, line)
	b.await("the figures change", line+" !== "+fmt.Sprintf("%q", before))
	eval[bool](b, "window.pumpkin.resetFrames(), true")
	eval[bool](b, `new Promise((done) => { // thirty frames
		let left = 30;
		const step = () => (--left ? requestAnimationFrame(step) : done(true));
		requestAnimationFrame(step);
	})`)
	if frames := eval[int](b, "window.pumpkin.frames().count"); frames > 0 {
		b.t.Errorf("%d frames of moving dots for who wants no motion", frames)
	}
}

// smooth measures the page for a while, a few times on a machine that others use as
// well: one of them has to be smooth. runs counts what the network does; nil is
// that it is not looked at.
func smooth(t *testing.T, b *browser, what string, runs func() uint64) {
	t.Helper()
	best := frameReport{P95: math.Inf(1)}
	for range 5 {
		eval[bool](b, "window.pumpkin.resetFrames(), true")
		begun, before := time.Now(), uint64(0)
		if runs != nil {
			before = runs()
		}
		b.await("frames to measure", "window.pumpkin.frames().count >= 100")
		got := eval[frameReport](b, "(() => { const r = window.pumpkin.frames(); return { Count: r.count, P50: r.p50, P95: r.p95 }; })()")
		rate := 0.0
		if runs != nil {
			rate = float64(runs()-before) / time.Since(begun).Seconds()
		}
		t.Logf("%s: %.0f runs/s; %d frames, p50 %.1f ms, p95 %.1f ms", what, rate, got.Count, got.P50, got.P95)
		if runs != nil && rate < busyRate {
			continue // not what was to be measured
		}
		if best.P95 = min(best.P95, got.P95); best.P95 <= mostFrame {
			break
		}
	}
	b.shoot(what)
	if best.P95 > mostFrame {
		t.Errorf("%s: 95 %% of the frames take up to %.1f ms (+Inf: the network was never busy enough); expected %.0f", what, best.P95, mostFrame)
	}
}

// runs counts what all seeds of the node were given.
func runs(t *testing.T, m *member) (sum uint64) {
	t.Helper()
	for _, s := range m.Status(t.Context()).Seeds {
		sum += s.In
	}
	return sum
}

// source gives packets in bursts, some thousands a second: each makes five runs.
func source(ctx context.Context, _ packet.Packet, _ gofn.Emit) error {
	data := make([]string, 60)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := gofn.EmitAll(ctx, "", data...); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// A counter is a seed that takes everything.
type counter struct{}

func (*counter) run(context.Context, packet.Packet, gofn.Emit) error { return nil }

// TestLarge: 500 seeds on 50 nodes are placed, and the page stays smooth while a
// part of them is busy.
func TestLarge(t *testing.T) {
	c := &canned{begun: time.Now()}
	files := page.Handler()
	mux := http.NewServeMux()
	mux.Handle("GET /", files)
	mux.HandleFunc("GET /api/v1/network", c.network)
	mux.HandleFunc("GET /api/v1/network/events", c.events)
	b := open(t, link(t, mux))
	b.await("all seeds are drawn", "document.querySelectorAll('#graph .seed').length === 500")
	b.reads("#bar", "50 nodes")
	b.shoot("large")

	// Nothing lies upon anything else.
	if over := eval[int](b, `(() => {
		const at = [...document.querySelectorAll('#graph [data-id]')].map((e) => e.getAttribute('transform').match(/[-\d.]+/g).map(Number));
		return at.filter(([x, y], i) => at.some(([u, v], k) => k > i && Math.abs(x - u) < 172 && Math.abs(y - v) < 46)).length;
	})()`); over > 0 {
		t.Errorf("%d vertices lie upon others", over)
	}
	took := eval[float64](b, `import('/layout.js').then(({ place }) => {
		const ids = [...document.querySelectorAll('#graph [data-id]')].map((e) => e.dataset.id);
		return fetch('/api/v1/network').then((r) => r.json()).then((all) => {
			const edges = all.seeds.flatMap((s) => [...s.inputs.map((i) => ['state:' + i, 'seed:' + s.name]), ...s.outputs.map((o) => ['seed:' + s.name, 'state:' + o])]);
			const begun = performance.now();
			place(ids, edges);
			return performance.now() - begun;
		});
	})`)
	t.Logf("placing 500 seeds anew takes %.0f ms", took)
	smooth(t, b, "large", nil)

	// It answers while it is dragged and zoomed.
	eval[bool](b, "document.querySelector('.find input').focus(), true")
	b.keys("seed499", "\r")
	b.await("the seed is found", "document.activeElement.dataset.id === 'seed:seed499'")
	var moved float64
	for range 3 {
		if moved = eval[float64](b, zooming); moved <= mostMoved {
			break
		}
	}
	t.Logf("95 %% of the frames while zooming take up to %.0f ms", moved)
	if moved > mostMoved {
		t.Errorf("95 %% of the frames while zooming take up to %.0f ms; expected %.0f", moved, mostMoved)
	}
	testenv.Eventually(told{t, b}, actTime, "the picture is drawn anew", func() bool {
		return eval[bool](b, "document.querySelector('#graph svg').style.transform === ''")
	})
	b.shoot("large-near")
}

// mostMoved is what 19 of 20 frames of a large graph may take while it is zoomed.
const mostMoved = 100.0 // ms

// zooming turns the wheel with every frame, and gives what 19 of 20 took.
const zooming = `new Promise((done) => {
	const root = document.querySelector('#graph'), took = [];
	let last = performance.now();
	const step = (now) => {
		took.push(now - last);
		last = now;
		root.dispatchEvent(new WheelEvent('wheel', { deltaY: took.length % 20 < 10 ? -60 : 60, clientX: 500, clientY: 400, cancelable: true }));
		if (took.length < 40) requestAnimationFrame(step);
		else done(took.sort((a, b) => a - b)[37]);
	};
	requestAnimationFrame(step);
})`

// A canned network answers as a node would that has 49 others.
type canned struct{ begun time.Time }

func (c *canned) now() api.Network {
	packets := uint64(time.Since(c.begun).Seconds() * 1000)
	all := api.Network{}
	for i := range 50 {
		m := api.Member{}
		m.Node = fmt.Sprintf("node%02d", i)
		all.Nodes = append(all.Nodes, m)
	}
	states := map[packet.State]*api.State{}
	at := func(s packet.State) *api.State {
		if states[s] == nil {
			states[s] = &api.State{StateCounters: api.StateCounters{State: s}, Producers: []seed.Name{}, Acceptors: []seed.Name{}}
		}
		return states[s]
	}
	for i := range 500 {
		name := seed.Name(fmt.Sprintf("seed%03d", i))
		// Chains of ten with branches, some of them joined.
		in := packet.State(fmt.Sprintf("Data:S%d", i/2))
		if i%10 == 0 {
			in = packet.State(fmt.Sprintf("Data:IN%d", i/100))
		}
		out := packet.State(fmt.Sprintf("Data:S%d", i+1))
		s := api.Seed{
			SeedCounters: api.SeedCounters{Name: name, InStates: map[packet.State]uint64{}, OutStates: map[packet.State]uint64{}},
			Kind:         seed.Go, Contract: seed.Contract{In: []packet.State{in}, Out: []packet.State{out}}, Inputs: []packet.State{in}, Outputs: []packet.State{out},
		}
		if i%4 == 0 {
			s.In, s.Out = packets, packets
			s.InStates[in], s.OutStates[out] = packets, packets
		}
		for k := range 1 + i%3 {
			s.Replicas = append(s.Replicas, api.Replica{Node: all.Nodes[(i+k*7)%50].Node})
		}
		at(in).Acceptors = append(at(in).Acceptors, name)
		at(out).Producers = append(at(out).Producers, name)
		all.Seeds = append(all.Seeds, s)
	}
	for _, s := range states {
		all.States = append(all.States, *s)
	}
	return all
}

func (c *canned) network(w http.ResponseWriter, _ *http.Request) {
	json.NewEncoder(w).Encode(c.now()) // an error here is the browser's going away
}

// events sends the network, and then four times a second the counters that have
// changed, as a node does.
func (c *canned) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	event, value := "network", any(c.now())
	for {
		data, err := json.Marshal(value)
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data); err != nil {
			return
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
			event, value = "counters", c.counters()
		case <-r.Context().Done():
			return
		}
	}
}

func (c *canned) counters() api.Counters {
	some := api.Counters{At: time.Now(), States: []api.StateCounters{}}
	all := c.now()
	for _, s := range all.Seeds {
		if s.In > 0 {
			some.Seeds = append(some.Seeds, api.SeedCounters{Name: s.Name, In: s.In, Out: s.Out, InStates: s.InStates, OutStates: s.OutStates})
		}
	}
	return some
}
