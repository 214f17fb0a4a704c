package packet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"
)

var frameTime = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

// sampleFrame has every field of a packet, and shares what can be shared.
func sampleFrame() (FrameHeader, []Packet) {
	first := &Hop{Seed: "a", Version: "2f0e11", Node: "n", At: frameTime, Depth: 1}
	left := &Hop{Prev: first, Seed: "b", Node: "n", At: frameTime, Depth: 2}
	right := &Hop{Prev: first, Seed: "b", Node: "m", At: time.Time{}, Depth: 2, State: "A:B", Data: "old"}
	wish := &Wish{Stop: "greet", Goal: "A:C", GoalNode: "m", Track: true, Deadline: frameTime}
	extra := &Extra{ShipName: "night run", Attributes: Attributes{"sample": "S07", "lane": "", "file": "S07/lane \u00e9.fq"},
		Path: PathOf(0, 3, 1<<63-1), Families: []Family{{"A:B", HashID("family")}, {"A:C", HashID("2")}}}
	root := HashID("root")
	return FrameHeader{Deliveries: 2, Sole: true}, []Packet{
		{ID: root, Ship: Ship{root, "n"}, State: "A:B", Data: "root"},
		{ID: HashID("1"), Ship: Ship{root, "n"}, State: "A:C", Data: "\x00\xff", Trail: left, Wish: wish, Extra: extra},
		{ID: HashID("2"), Ship: Ship{root, "n"}, State: "A:C", Trail: right, Wish: wish, Extra: extra},
		{ID: HashID("3"), Ship: Ship{HashID("other"), "m"}, State: "Error:b", Data: strings.Repeat("x", 200),
			Extra: &Extra{Container: HashID("c"), Fragment: Fragment{1, 3}, Round: 2}, Attempt: 2, DeadLetters: 1, Trail: left,
			Fault: &Fault{"ValueError: no", "Traceback", "A:B", 6}, Wish: &Wish{Deadline: time.Time{}.Add(1)}},
	}
}

func TestFrameShares(t *testing.T) {
	h, ps := sampleFrame()
	_, got, err := ParseFrame(AppendFrame(nil, h, ps))
	if err != nil {
		t.Fatal(err)
	}
	if got[1].Trail != got[3].Trail || got[1].Trail.Prev != got[2].Trail.Prev || got[1].Trail == got[2].Trail {
		t.Error("hops that packets shared are shared otherwise now")
	}
	if got[1].Wish != got[2].Wish {
		t.Error("the wish that two packets shared is two now")
	}
	if got[1].Extra != got[2].Extra {
		t.Error("the extra that two packets shared is two now")
	}
}

func TestFrameBits(t *testing.T) {
	blob := Packet{ID: HashID("p"), State: "A:B", Blob: &Blob{Size: 1}}
	small := Packet{ID: HashID("q"), State: "A:B", Data: "data"}
	if f := AppendFrame(nil, FrameHeader{}, []Packet{small, small}); FrameHasBlobs(f) {
		t.Error("a frame without blobs says that it has some")
	}
	if f := AppendFrame(nil, FrameHeader{}, []Packet{small, blob, small}); !FrameHasBlobs(f) {
		t.Error("a frame with a blob does not say so")
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestFrameGolden holds version 2 to its bytes: they stand in stores.
func TestFrameGolden(t *testing.T) {
	const file = "testdata/frame2.hex"
	h, ps := sampleFrame()
	if *update {
		var text strings.Builder
		for line := range slices.Chunk(AppendFrame(nil, h, ps), 50) {
			fmt.Fprintf(&text, "%x\n", line)
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := AppendFrame(nil, h, ps); !bytes.Equal(got, golden) {
		t.Errorf("the sample is written as\n%x\nand %s has\n%x", got, file, golden)
	}
	gotHeader, got, err := ParseFrame(golden)
	if err != nil || gotHeader != h || !reflect.DeepEqual(got, ps) {
		t.Errorf("%s is read as %+v %+v, %v", file, gotHeader, got, err)
	}
}

func TestFrameRefusesDamage(t *testing.T) {
	frame := AppendFrame(nil, FrameHeader{}, nil)
	if _, ps, err := ParseFrame(frame); err != nil || len(ps) != 0 {
		t.Errorf("the empty frame is read as %v, %v", ps, err)
	}
	frame = AppendFrame(nil, FrameHeader{Deliveries: 3}, []Packet{{ID: HashID("p"), State: "A:B", Data: "data"}})
	h, ps := sampleFrame()
	for _, frame := range [][]byte{frame, AppendFrame(nil, h, ps)} {
		for n := range frame {
			if _, _, err := ParseFrame(frame[:n]); !errors.Is(err, ErrDamagedFrame) {
				t.Errorf("the first %d bytes of %d: %v", n, len(frame), err)
			}
			for bit := range 8 {
				frame[n] ^= 1 << bit
				if _, _, err := ParseFrame(frame); !errors.Is(err, ErrDamagedFrame) && !(n == 3 && errors.Is(err, ErrNewerFrame)) {
					t.Errorf("bit %d of byte %d changed: %v", bit, n, err)
				}
				frame[n] ^= 1 << bit
			}
		}
		if _, _, err := ParseFrame(append(bytes.Clone(frame), 0)); !errors.Is(err, ErrDamagedFrame) {
			t.Errorf("a byte more: %v", err)
		}
	}
	frame[3] = frameVersion + 1
	if _, _, err := ParseFrame(frame); !errors.Is(err, ErrNewerFrame) || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("a newer version: %v", err)
	}
	frame[3] = 1
	if _, _, err := ParseFrame(frame); !errors.Is(err, ErrDamagedFrame) || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("the old version: %v", err)
	}
}

// TestFrameRefusesExtras has an extra beyond each limit, under a right sum.
func TestFrameRefusesExtras(t *testing.T) {
	many := Attributes{}
	for i := range MaxAttributes + 1 {
		many[fmt.Sprintf("a%02d", i)] = ""
	}
	long := strings.Repeat("x", MaxAttributeBytes)
	families := make([]Family, MaxFamilies+1)
	for i := range families {
		families[i].State = State(fmt.Sprintf("A:%d", i))
	}
	for want, x := range map[string]*Extra{
		"65 attributes; from 1 to 64 are allowed":           {Attributes: many},
		"the attributes have 16385 bytes":                   {Attributes: Attributes{"a": long}},
		"an attribute's name is empty":                      {Attributes: Attributes{"": "x"}},
		"an attribute's name is 65 bytes long":              {Attributes: Attributes{long[:65]: ""}},
		`the attribute's name "Sample": expected`:           {Attributes: Attributes{"Sample": ""}},
		`the attribute's name "7up": expected`:              {Attributes: Attributes{"7up": ""}},
		"the attribute a is not UTF-8 text":                 {Attributes: Attributes{"a": "\xff"}},
		"the attribute b has a byte 0":                      {Attributes: Attributes{"a": "", "b": "\x00"}},
		"the birth path has 4097 bytes":                     {Path: Path(long[:MaxPath+1])},
		"the birth path has no number of 63 bits at byte 1": {Path: PathOf(1, 1<<63)},
		"the birth path has no number of 63 bits at byte 0": {Path: "\x80\x00"},
		"the birth path has no number of 63 bits at byte 2": {Path: "\x01\x02\x80"},
		"17 families; from 1 to 16 are allowed":             {Families: families},
		"two families of the state A:A":                     {Families: []Family{{State: "A:A"}, {State: "A:A", ID: ID{1, 2}}}},
		"family 0 has no state":                             {Families: []Family{{ID: ID{1, 2}}}},
		"the ship's name is 256 bytes long":                 {ShipName: long[:MaxShipName+1]},
		`the ship's name "a\nb" has characters`:             {ShipName: "a\nb"},
	} {
		if x.Check() == nil {
			t.Errorf("%s: passes", want)
		}
		_, _, err := ParseFrame(AppendFrame(nil, FrameHeader{}, []Packet{{ID: HashID("p"), State: "A:B", Extra: x}}))
		if !errors.Is(err, ErrDamagedFrame) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %v", want, err)
		}
	}
	frame := AppendFrame(nil, FrameHeader{}, []Packet{{ID: HashID("p"), State: "A:B", Data: "x"}})
	frame[frameHead+2] |= packetJob >> 8
	if _, _, err := ParseFrame(sealed(frame)); !errors.Is(err, ErrDamagedFrame) || !strings.Contains(err.Error(), "a run of several parts") {
		t.Errorf("a job: %v", err)
	}
}

// TestFrameExtremes has every extra at its limits.
func TestFrameExtremes(t *testing.T) {
	all := Attributes{}
	for i := range MaxAttributes {
		all[fmt.Sprintf("%s%02d", strings.Repeat("a", MaxAttributeName-2), i)] = strings.Repeat("v", MaxAttributeBytes/MaxAttributes-MaxAttributeName)
	}
	families := make([]Family, MaxFamilies)
	for i := range families {
		families[i] = Family{State(fmt.Sprintf("A:%d", i)), HashID("f")}
	}
	x := &Extra{Attributes: all, Families: families, Path: Path(strings.Repeat("\x7f", MaxPath)), ShipName: strings.Repeat("n", MaxShipName)}
	if err := x.Check(); err != nil {
		t.Fatal(err)
	}
	ps := []Packet{{ID: HashID("p"), State: "A:B", Extra: x}}
	frame := AppendFrame(nil, FrameHeader{}, ps)
	if _, got, err := ParseFrame(frame); err != nil || !reflect.DeepEqual(got, ps) {
		t.Errorf("read %+v, %v", got, err)
	}
}

// sealed gives a frame the sum that it should have.
func sealed(frame []byte) []byte {
	if len(frame) < frameSum {
		return frame
	}
	body := frame[: len(frame)-frameSum : len(frame)-frameSum]
	return binary.LittleEndian.AppendUint64(body, xxh3.Hash(body))
}

// TestFrameHostile changes bytes under a right sum: nothing may panic, and
// what is read may be written and read again.
func TestFrameHostile(t *testing.T) {
	h, ps := sampleFrame()
	frame := AppendFrame(nil, h, ps)
	for n := range frame {
		for v := range 256 {
			changed := bytes.Clone(frame)
			changed[n] = byte(v)
			checkFrame(t, sealed(changed))
		}
		checkFrame(t, sealed(bytes.Clone(frame[:n])))
	}
	for _, at := range []int{4, 8, 12} {
		huge := bytes.Clone(frame)
		binary.LittleEndian.PutUint32(huge[at:], 1<<32-1)
		if _, _, err := ParseFrame(sealed(huge)); !errors.Is(err, ErrDamagedFrame) {
			t.Errorf("a huge count at byte %d: %v", at, err)
		}
	}
}

// TestFrameMemory holds ParseFrame to how much memory it takes at most.
func TestFrameMemory(t *testing.T) {
	least := make([]Packet, 2000)
	for i := range least {
		least[i] = Packet{Wish: &Wish{}, Fault: &Fault{}, Extra: &Extra{Round: 1}}
	}
	attributes := make([]Packet, 2000)
	for i := range attributes {
		attributes[i] = Packet{Extra: &Extra{Attributes: Attributes{"a": ""}}}
	}
	hops := make([]Packet, 2000)
	for i := range hops {
		hops[i] = Packet{Trail: &Hop{At: frameTime}}
	}
	lie := func(at int, least uint32) []byte {
		frame := make([]byte, 1<<16)
		copy(frame, AppendFrame(nil, FrameHeader{}, nil))
		binary.LittleEndian.PutUint32(frame[at:], uint32(len(frame)-frameSum)/least)
		return sealed(frame)
	}
	for name, frame := range map[string][]byte{
		"small packets": AppendFrame(nil, FrameHeader{}, least),
		"small hops":    AppendFrame(nil, FrameHeader{}, hops),
		"attributes":    AppendFrame(nil, FrameHeader{}, attributes),
		"no packets":    lie(4, leastPacket),
		"no names":      lie(8, leastName),
		"no hops":       lie(12, leastHop),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ParseFrame(frame)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 30*uint64(len(frame)) {
			t.Errorf("%s: a frame of %d bytes takes %d", name, len(frame), took)
		}
	}
}

// checkFrame reads any bytes; what is a frame has to stay one.
func checkFrame(t testing.TB, data []byte) {
	t.Helper()
	h, ps, err := ParseFrame(data)
	if err != nil {
		return
	}
	again := AppendFrame(nil, h, ps)
	h2, ps2, err := ParseFrame(again)
	if err != nil || h2 != h || !reflect.DeepEqual(ps2, ps) {
		t.Fatalf("%x\nwas read as %+v, %+v\nand, written again, as %+v, %+v, %v", data, h, ps, h2, ps2, err)
	}
}

func FuzzParseFrame(f *testing.F) {
	h, ps := sampleFrame()
	f.Add(AppendFrame(nil, h, ps))
	for i := range ps {
		f.Add(AppendFrame(nil, FrameHeader{}, ps[i:i+1]))
	}
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkFrame(t, data)
		checkFrame(t, sealed(bytes.Clone(data)))
	})
}

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := FrameHeader{rapid.IntRange(0, 1<<31-1).Draw(t, "deliveries"), rapid.Bool().Draw(t, "sole"), rapid.Bool().Draw(t, "tried")}
		ps := somePackets(t)
		front := []byte("in front")
		frame := AppendFrame(front, h, ps)
		if !bytes.HasPrefix(frame, front) {
			t.Fatal("what stood in front is gone")
		}
		frame = frame[len(front):]
		gotHeader, got, err := ParseFrame(frame)
		if err != nil || gotHeader != h || !reflect.DeepEqual(got, ps) {
			t.Fatalf("wrote %+v %+v\nread %+v %+v\n%v", h, ps, gotHeader, got, err)
		}
		size := len(AppendFrame(nil, FrameHeader{Deliveries: 1 << 30}, nil))
		for i := range ps {
			size += FrameSize(&ps[i])
		}
		if len(frame) > size {
			t.Fatalf("the frame has %d bytes; at most %d were expected", len(frame), size)
		}
	})
}

var (
	anyTime = rapid.Custom(func(t *rapid.T) time.Time {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return time.Time{}
		case 1:
			return time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		}
		return time.Unix(0, rapid.Int64().Draw(t, "ns")).UTC()
	})
	anyID = rapid.Custom(func(t *rapid.T) ID {
		return ID{Lo: rapid.Uint64Range(0, 9).Draw(t, "id")}
	})
	anyText = rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes"))
	})
	anyName = rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "usual") {
			return rapid.SampledFrom([]string{"", "a", "greet", "A:B"}).Draw(t, "name")
		}
		return anyText.Draw(t, "name")
	})
	anyInt        = rapid.IntRange(0, 1<<31-1)
	anyAttributes = rapid.Custom(func(t *rapid.T) Attributes {
		all := Attributes(rapid.MapOfN(rapid.StringMatching(`[a-z][a-z0-9_]{0,8}`), rapid.StringMatching(`[ -~é]{0,20}`), 0, 5).Draw(t, "attributes"))
		if len(all) == 0 {
			return nil
		}
		return all
	})
	anyExtra = rapid.Custom(func(t *rapid.T) *Extra {
		x := &Extra{Attributes: anyAttributes.Draw(t, "attributes"), ShipName: rapid.SampledFrom([]string{"", "", "greet", "a ship"}).Draw(t, "ship's name"),
			Path: PathOf(rapid.SliceOfN(rapid.Uint64Range(0, 1<<63-1), 0, 20).Draw(t, "path")...)}
		if rapid.Bool().Draw(t, "fragment") {
			x.Container, x.Fragment = anyID.Draw(t, "container"), Fragment{1, rapid.Uint32Range(2, 1<<32-1).Draw(t, "count")}
			x.Round = int32(rapid.IntRange(0, maxCount).Draw(t, "round"))
			x.Failing = rapid.Int64Range(0, maxSeconds).Draw(t, "failing")
		}
		for _, s := range []State{"A:B", "A:C", "A:D"} {
			if rapid.Bool().Draw(t, "family") {
				x.Families = append(x.Families, Family{s, anyID.Draw(t, "family")})
			}
		}
		return x
	})
)

// somePackets draws packets whose hops and wishes are from common stocks.
func somePackets(t *rapid.T) []Packet {
	hops := []*Hop{nil}
	for range rapid.IntRange(0, 40).Draw(t, "hops") {
		h := &Hop{Prev: rapid.SampledFrom(hops).Draw(t, "prev"), Seed: anyName.Draw(t, "seed"), Version: anyName.Draw(t, "version"), Node: anyName.Draw(t, "node"), At: anyTime.Draw(t, "at"), Depth: 1}
		if h.Prev != nil {
			h.Depth += h.Prev.Depth
		}
		if rapid.Bool().Draw(t, "tracked") {
			h.State, h.Data = State(anyName.Draw(t, "state")), anyText.Draw(t, "data")
		}
		hops = append(hops, h)
	}
	wishes := []*Wish{nil, {}}
	for range rapid.IntRange(0, 3).Draw(t, "wishes") {
		wishes = append(wishes, &Wish{
			Stop: anyName.Draw(t, "stop"), Goal: State(anyName.Draw(t, "goal")), GoalNode: anyName.Draw(t, "goal node"), Track: rapid.Bool().Draw(t, "track"),
			Deadline: anyTime.Draw(t, "deadline"), Follow: HashID(anyName.Draw(t, "follow")), Trace: TraceContext{Trace: anyID.Draw(t, "trace").Bytes(), Flags: rapid.Byte().Draw(t, "flags")},
		})
	}
	extras := []*Extra{nil, nil}
	for range rapid.IntRange(0, 3).Draw(t, "extras") {
		if x := anyExtra.Draw(t, "extra"); !x.IsZero() {
			extras = append(extras, x)
		}
	}
	ps := make([]Packet, rapid.IntRange(0, 40).Draw(t, "packets"))
	for i := range ps {
		ps[i] = Packet{
			ID: anyID.Draw(t, "id"), Ship: Ship{anyID.Draw(t, "root"), anyName.Draw(t, "node")},
			State: State(anyName.Draw(t, "state")), Data: anyText.Draw(t, "data"),
			Trail: rapid.SampledFrom(hops).Draw(t, "trail"), Wish: rapid.SampledFrom(wishes).Draw(t, "wish"),
			Extra: rapid.SampledFrom(extras).Draw(t, "of extras"),
		}
		if rapid.Bool().Draw(t, "unusual") {
			ps[i].Attempt, ps[i].DeadLetters = int32(anyInt.Draw(t, "attempt")), int32(anyInt.Draw(t, "rounds"))
			ps[i].Fault = &Fault{anyText.Draw(t, "error"), anyText.Draw(t, "output"), State(anyName.Draw(t, "state")), anyInt.Draw(t, "attempts")}
			ps[i].Blob = &Blob{Sum{byte(i)}, rapid.Int64Min(0).Draw(t, "size")}
		}
	}
	return ps
}

// TestFrameManyHops has more names and hops than the tables begin with.
func TestFrameManyHops(t *testing.T) {
	ps := make([]Packet, 300)
	var last *Hop
	for i := range ps {
		for range 5 {
			depth := 1
			if last != nil {
				depth += last.Depth
			}
			last = &Hop{Prev: last, Seed: fmt.Sprint("seed", i), Node: "n", At: frameTime, Depth: depth}
		}
		ps[i] = Packet{ID: ID{Lo: 1}, Trail: last}
	}
	frame := AppendFrame(nil, FrameHeader{}, ps)
	if most := 300 * 5 * 40; len(frame) > most {
		t.Errorf("%d bytes; expected at most %d, for every hop once", len(frame), most)
	}
	_, got, err := ParseFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Hops() != 5*(i+1) || i > 0 && got[i].Trail.Prev.Prev.Prev.Prev.Prev != got[i-1].Trail {
			t.Fatalf("packet %d came through %d hops, or they are not those of the packet before", i, got[i].Hops())
		}
	}
}

// usualFrame is what one frame of a busy inbox holds.
func usualFrame(n int) []Packet {
	ps := make([]Packet, n)
	data := strings.Repeat("d", 128)
	common := &Hop{Seed: "split", Node: "node-1", At: frameTime, Depth: 1}
	for i := range ps {
		ps[i] = Packet{ID: NewID(), Ship: Ship{NewID(), "node-1"}, State: "TweetString:RAW", Data: data}
		switch i % 3 {
		case 1:
			ps[i].Trail = common
		case 2:
			ps[i].Trail = &Hop{Prev: &Hop{Seed: "inject", Node: "node-1", At: frameTime, Depth: 1}, Seed: "filter", Node: "node-1", At: frameTime, Depth: 2}
		}
	}
	return ps
}

func BenchmarkFrame(b *testing.B) {
	for _, n := range []int{1, 256} {
		ps := usualFrame(n)
		frame := AppendFrame(nil, FrameHeader{}, ps)
		perPacket := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/packet")
			b.ReportMetric(float64(len(frame))/float64(n), "B/packet")
			b.ReportAllocs()
		}
		b.Run(fmt.Sprintf("append/%d", n), func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				buf = AppendFrame(buf[:0], FrameHeader{}, ps)
			}
			perPacket(b)
		})
		b.Run(fmt.Sprintf("parse/%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := ParseFrame(frame); err != nil {
					b.Fatal(err)
				}
			}
			perPacket(b)
		})
	}
}
