package packet

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"
)

var frameTime = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

// sampleFrame has every field of a packet, and shares what can be shared.
func sampleFrame() (FrameHeader, []Packet) {
	first := &Hop{Seed: "a", Node: "n", At: frameTime, Depth: 1}
	left := &Hop{Prev: first, Seed: "b", Node: "n", At: frameTime, Depth: 2}
	right := &Hop{Prev: first, Seed: "b", Node: "m", At: time.Time{}, Depth: 2, State: "A:B", Data: "old"}
	wish := &Wish{Stop: "greet", Goal: "A:C", Track: true, Deadline: frameTime}
	root := HashID("root")
	return FrameHeader{frameTime.Add(time.Hour), 2, true}, []Packet{
		{ID: root, Ship: Ship{root, "n"}, State: "A:B", Data: "root"},
		{ID: HashID("1"), Ship: Ship{root, "n"}, State: "A:C", Data: "\x00\xff", Trail: left, Wish: wish},
		{ID: HashID("2"), Ship: Ship{root, "n"}, State: "A:C", Trail: right, Wish: wish},
		{ID: HashID("3"), Ship: Ship{HashID("other"), "m"}, State: "Error:b", Data: strings.Repeat("x", 200),
			Container: HashID("c"), Fragment: Fragment{1, 3}, Attempt: 2, Rounds: 1, Trail: left,
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
	if f := AppendFrame(nil, FrameHeader{}, []Packet{small}); FrameWaits(f) {
		t.Error("a frame that may run says that it waits")
	}
	if f := AppendFrame(nil, FrameHeader{NotBefore: time.Now()}, []Packet{small}); !FrameWaits(f) {
		t.Error("a frame that waits does not say so")
	}
}

// TestFrameGolden holds version 1 to its bytes: they stand in stores.
func TestFrameGolden(t *testing.T) {
	const file = "testdata/frame1.hex"
	h, ps := sampleFrame()
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
	if _, _, err := ParseFrame(frame); !errors.Is(err, ErrNewerFrame) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a newer version: %v", err)
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
		least[i] = Packet{Wish: &Wish{}, Fault: &Fault{}}
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
		"no packets":    lie(4, leastPacket),
		"no names":      lie(8, leastName),
		"no hops":       lie(12, leastHop),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ParseFrame(frame)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 15*uint64(len(frame)) {
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
		h := FrameHeader{anyTime.Draw(t, "not before"), rapid.IntRange(0, 1<<31-1).Draw(t, "deliveries"), rapid.Bool().Draw(t, "sole")}
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
		size := len(AppendFrame(nil, FrameHeader{frameTime, 1 << 30, true}, nil)) + 4 // a not-before time may be far
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
	anyInt = rapid.IntRange(0, 1<<31-1)
)

// somePackets draws packets whose hops and wishes are from common stocks.
func somePackets(t *rapid.T) []Packet {
	hops := []*Hop{nil}
	for range rapid.IntRange(0, 40).Draw(t, "hops") {
		h := &Hop{Prev: rapid.SampledFrom(hops).Draw(t, "prev"), Seed: anyName.Draw(t, "seed"), Node: anyName.Draw(t, "node"), At: anyTime.Draw(t, "at"), Depth: 1}
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
			Stop: anyName.Draw(t, "stop"), Goal: State(anyName.Draw(t, "goal")), Track: rapid.Bool().Draw(t, "track"),
			Deadline: anyTime.Draw(t, "deadline"), Follow: HashID(anyName.Draw(t, "follow")), Trace: TraceContext{Trace: anyID.Draw(t, "trace").Bytes(), Flags: rapid.Byte().Draw(t, "flags")},
		})
	}
	ps := make([]Packet, rapid.IntRange(0, 40).Draw(t, "packets"))
	for i := range ps {
		ps[i] = Packet{
			ID: anyID.Draw(t, "id"), Ship: Ship{anyID.Draw(t, "root"), anyName.Draw(t, "node")},
			State: State(anyName.Draw(t, "state")), Data: anyText.Draw(t, "data"),
			Trail: rapid.SampledFrom(hops).Draw(t, "trail"), Wish: rapid.SampledFrom(wishes).Draw(t, "wish"),
		}
		if rapid.Bool().Draw(t, "unusual") {
			ps[i].Container, ps[i].Fragment = anyID.Draw(t, "container"), Fragment{rapid.Uint32().Draw(t, "index"), rapid.Uint32().Draw(t, "count")}
			ps[i].Attempt, ps[i].Rounds = int32(anyInt.Draw(t, "attempt")), int32(anyInt.Draw(t, "rounds"))
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
