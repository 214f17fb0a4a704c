package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/internal/trace"
	"github.com/recap/pumpkin/packet"
)

// TestSample gives a history ever more runs a second, then none: the sample gets
// sparse enough that the ring covers seconds, and then has every ship again.
func TestSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		const seconds, rate = 20, 100_000
		for i := range seconds * rate {
			root := packet.HashID(fmt.Sprint(i))
			if h.samples(root) {
				h.add(trace.Run{Packet: root, Ship: packet.Ship{Root: root}, At: time.Now()})
			}
			if i%(rate/100) == 0 {
				time.Sleep(10 * time.Millisecond)
				h.relax(time.Now())
			}
		}
		k := h.keeps()
		if covered := time.Since(k.Since); covered < 8*time.Second || k.OneIn < 16 || k.OneIn > 256 {
			t.Errorf("the ring covers %v of %d runs a second and keeps one ship in %d", covered, rate, k.OneIn)
		}
		// All the runs of a ship that is in a sparse sample are in a denser one.
		for i := range 1000 {
			root := packet.HashID(fmt.Sprint(i))
			if (trace.Keeps{OneIn: 64}).Samples(root) && !(trace.Keeps{OneIn: 16}).Samples(root) {
				t.Errorf("ship %s is in the sparse sample alone", root)
			}
		}
		for range 30 {
			time.Sleep(sampleTime)
			h.relax(time.Now())
		}
		if k := h.keeps(); k.OneIn != 1 {
			t.Errorf("after three quiet seconds one ship in %d is kept", k.OneIn)
		}
	})
}

// TestFailuresOfAll keeps failures that are in no sample, and not too many.
func TestFailuresOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		h.relax(time.Now())
		h.mask.Store(1<<20 - 1)
		for i := range 10 * sampled {
			root := packet.HashID(fmt.Sprint(i))
			h.add(trace.Run{Packet: root, Ship: packet.Ship{Root: root}, Error: "boom"})
		}
		if h.others.n != sampled {
			t.Errorf("%d failures are kept of %d; expected %d", h.others.n, 10*sampled, sampled)
		}
	})
}

// TestRingIsBounded gives more runs than a ring keeps, and more data.
func TestRingIsBounded(t *testing.T) {
	var h history
	ship := packet.Ship{Root: packet.HashID("one")}
	for i := range maxRuns + 10 {
		h.addAsked(trace.Run{Packet: packet.HashID(fmt.Sprint(i)), Ship: ship})
	}
	if first := h.asked.at(0); h.asked.n != maxRuns || first.Packet != packet.HashID("10") {
		t.Errorf("%d runs are kept, the oldest is %s", h.asked.n, first.Packet)
	}
	data := strings.Repeat("x", trace.MaxData)
	for range 30 {
		h.addAsked(trace.Run{Ship: ship, Data: trace.HeadOf(data, trace.MaxData)})
	}
	if h.data[ship.Root] != trace.MaxShipData {
		t.Errorf("%d bytes of a ship are kept, expected %d", h.data[ship.Root], trace.MaxShipData)
	}
	for i := range 1000 {
		other := packet.Ship{Root: packet.HashID("other", fmt.Sprint(i))}
		h.addAsked(trace.Run{Ship: other, Data: trace.HeadOf(data, trace.MaxData)})
	}
	if h.asked.bytes > maxRunBytes || len(h.data) != h.asked.n || h.asked.n > maxRunBytes/trace.MaxData {
		t.Errorf("%d runs of %d ships take %d bytes", h.asked.n, len(h.data), h.asked.bytes)
	}
}

// family asks a node for a ship's family, as text.
func (w *world) family(id packet.ID) string {
	w.t.Helper()
	share, err := w.Trace(w.t.Context(), trace.PrefixOf(id), true)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(share.Ships) != 1 {
		return ""
	}
	var b strings.Builder
	if err := trace.Text(&b, trace.Build(share.Ships[0], id, []trace.Share{share}), true, true); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// TestFamilyOnEachStore follows a packet that splits, fails, waits and ends.
func TestFamilyOnEachStore(t *testing.T) {
	eachStore(t, func(t *testing.T, r *rest) {
		w, _ := r.world(t)
		split := w.seed("split", "T:IN -> T:A | T:B | T:C", func(_ context.Context, in packet.Packet, emit gofn.Emit) error {
			return errors.Join(emit("A", in.Data), emit("B", in.Data), emit("C", in.Data))
		})
		bad := w.seed("bad", "T:A -> T:X", func(context.Context, packet.Packet, gofn.Emit) error { return errors.New("boom") })
		bad.Retries = 1
		w.host(split, bad, w.seed("end", "T:B ->", func(context.Context, packet.Packet, gofn.Emit) error { return nil }),
			w.seed("source", "-> T:IN", func(_ context.Context, _ packet.Packet, emit gofn.Emit) error { return emit("", "from within") }))
		w.start()
		follow := func(wish *packet.Wish, want ...string) {
			t.Helper()
			id := packet.NewID()
			if err := w.Inject(t.Context(), packet.Packet{ID: id, State: "T:IN", Data: "hello", Wish: wish}); err != nil {
				t.Fatal(err)
			}
			var got string
			defer func() {
				if t.Failed() {
					t.Log(got)
				}
			}()
			testenv.Eventually(t, 20*time.Second, "the family is told", func() bool {
				got = w.family(id)
				for _, text := range want {
					if !strings.Contains(got, text) {
						return false
					}
				}
				return true
			})
		}
		all := []string{"came in", "T:IN -> 3 packets", "T:B, ended", "waits: no seed accepts it", "failed: boom (attempt 1)", "failed for the last time: boom (attempt 2)", "Error:bad", "after boom"}
		follow(nil, all...)
		follow(&packet.Wish{Track: true}, append(all, `in: "hello"`, `data: "hello"`)...)
		follow(&packet.Wish{Track: true, Stop: "split"}, "T:IN, stopped here as asked", `in: "hello"`, `out: "hello"`)
		var root packet.ID
		w.history.each(func(r *trace.Run) bool {
			if r.Seed == "source" {
				root = r.Packet
			}
			return true
		})
		if got := w.family(root); !strings.Contains(got, "from the injector source") || !strings.Contains(got, "T:IN -> 3 packets") {
			t.Errorf("the family of an injector's packet is\n%s", got)
		}
	})
}
