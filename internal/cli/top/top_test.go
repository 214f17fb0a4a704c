package top

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/predict"
	"github.com/recap/pumpkin/seed"
)

var base = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// member is a node with seeds that have been given so many packets.
func member(name string, in uint64, seeds ...string) api.Member {
	st := api.Status{Node: name, Group: "default", Run: "r1", Since: base.Add(-time.Hour), Store: api.Store{Durability: "disk", Used: 1 << 20, Size: 1 << 30}}
	for _, s := range seeds {
		st.Seeds = append(st.Seeds, api.SeedStatus{Manifest: seed.Manifest{Name: seed.Name(s)}, Figures: api.Figures{In: in, Out: 2 * in, Workers: 2, Cost: time.Millisecond}})
	}
	return api.Member{Status: st}
}

func network(members ...api.Member) api.Network { return api.Network{Nodes: members} }

func TestRates(t *testing.T) {
	before := Compare(nil, base, network(member("a", 100, "x"), member("b", 50, "x", "y")))
	if x := before.Seeds[0]; x.In != 0 || x.Nodes != 2 || x.Workers != 4 {
		t.Errorf("at first: %+v", x)
	}
	again := member("b", 10, "x", "new") // was started again
	again.Run = "r2"
	again.Inboxes = []api.Inbox{{Seed: "far", Packets: 7}}
	now := Compare(&before, base.Add(2*time.Second), network(member("a", 300, "x"), again))
	var names []string
	for _, r := range now.Seeds {
		names = append(names, string(r.Seed))
	}
	if !slices.Equal(names, []string{"far", "new", "x"}) {
		t.Fatalf("there are %q", names)
	}
	if x := now.Seeds[2]; x.In != 100 || x.Out != 200 {
		t.Errorf("200 more in 2 s, and a node that counts anew: %+v", x)
	}
	if far := now.Seeds[0]; far.Stored != 7 || far.Nodes != 0 {
		t.Errorf("what lies here for others: %+v", far)
	}
}

// full is a view of more than fits.
func full() View {
	var members []api.Member
	for i := range 20 {
		members = append(members, member(fmt.Sprintf("a-node-with-a-long-name-%d", i), 5, "greet", fmt.Sprintf("seed-with-quite-a-long-name-%d", i)))
	}
	members[0].Waiting = []api.Waiting{{State: "A:B", Packets: 3, Since: base, Why: "evil\x1b[31m\nname"}, {Seed: "gone", Packets: 1, Since: base, Why: "x"}}
	members[0].Behind = []api.Behind{{Seed: "greet", Behind: predict.Behind{Since: base, Packets: 10, Growth: 3}}}
	members[3].Trouble = "no answer"
	net := network(members...)
	net.Ahead = []api.Ahead{{Seed: "greet", Drain: predict.Drain{Time: 90 * time.Second, Error: 0.12}}}
	return View{Sample: Compare(nil, base.Add(time.Minute), net)}
}

// TestDrawFits any terminal, and nothing from outside reaches it that is no text.
func TestDrawFits(t *testing.T) {
	views := []View{{}, {Trouble: "no node"}, full()}
	look := full()
	look.Look, look.At = true, "greet"
	views = append(views, look)
	for i, v := range views {
		for _, s := range []Screen{{80, 24, false, true}, {20, 5, false, true}, {200, 60, false, true}, {1, 1, false, true}, {80, 0, false, false}, {0, 0, false, true}} {
			lines := Draw(v, s)
			if len(lines) > max(s.Height, 1) {
				t.Errorf("view %d on %+v: %d lines", i, s, len(lines))
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > s.Width || strings.ContainsAny(line, "\x1b\n") {
					t.Errorf("view %d on %+v: %q", i, s, line)
				}
			}
		}
	}
}

func TestDraw(t *testing.T) {
	text := strings.Join(Draw(full(), Screen{Width: 80, Height: 24, Keys: true}), "\n")
	for _, want := range []string{"pmk top", "20 nodes, 21 seeds, 4 packets waiting", "!greet", "1m30s ±12%", "A:B", "evil?[31m?name", "q quit"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	look := full()
	look.Look, look.At = true, "greet"
	text = strings.Join(Draw(look, Screen{Width: 80, Height: 40}), "\n")
	for _, want := range []string{"seed greet", "falls behind: for 1m0s its backlog in the store of", "a-node-with-a-long-~"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	colored := strings.Join(Draw(full(), Screen{Width: 80, Height: 24, Keys: true, Color: true}), "\n")
	if !strings.Contains(colored, "\x1b[7m") || !strings.Contains(colored, "\x1b[31m") {
		t.Error("in colour nothing stands out")
	}
}

func TestKeys(t *testing.T) {
	sent := "\x1b[A\x1b[B\x1b[1;5Ckj\rsx\x1b"
	want := []Key{Up, Down, Up, Down, Enter, Sort, Escape}
	if got := Keys([]byte(sent)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestPress(t *testing.T) {
	v := View{Sample: Compare(nil, base, network(member("n", 1, "a", "b", "c")))}
	press := func(keys ...Key) {
		for _, k := range keys {
			v = v.Press(k)
		}
	}
	press(Up, Down, Down)
	if v.At != "c" {
		t.Errorf("after down, down it points at %q", v.At)
	}
	press(Down, Enter, Up)
	if v.At != "b" || !v.Look {
		t.Errorf("a look at %q: %v", v.At, v.Look)
	}
	press(Quit)
	if v.Look || v.Quit {
		t.Error("q in a look leads back")
	}
	press(Sort, Sort, Enter, Escape, Quit)
	if v.Order != ByStored || !v.Quit {
		t.Errorf("it ends sorted by %v: %v", v.Order, v.Quit)
	}
	if v := (View{}).Press(Down).Press(Enter); v.Look {
		t.Error("a look at nothing")
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("\x1b[A\x1bO"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		v := full()
		for _, k := range Keys(sent) {
			v = v.Press(k)
		}
		Draw(v, Screen{Width: 80, Height: 24, Keys: true})
	})
}
