package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/recap/pumpkin/packet"
)

func TestRunRoundTrip(t *testing.T) {
	p := packet.Packet{ID: packet.HashID("x"), Ship: packet.Ship{Root: packet.HashID("y"), Node: "lab"}, State: "In:A", Data: "12345", Attempt: 2,
		Extra: &packet.Extra{Attributes: packet.Attributes{"sample": "S07", "name": "näme \"x\""}}}
	frame := append(Begin(nil), `{"run":[`...)
	frame = append(AppendEntry(frame, 7, &p, true), "]}"...)
	frame, err := End(frame, int64(len(p.Data)))
	if err != nil {
		t.Fatal(err)
	}
	header, blob, err := ReadHeader(bufio.NewReader(bytes.NewReader(frame)))
	if err != nil || blob != 5 {
		t.Fatal(blob, err)
	}
	run, stop, err := ParseRun(header, blob)
	want := []Entry{{N: 7, State: "In:A", Size: 5, ID: p.ID.String(), Ship: p.Ship.String(), Attempt: 2, Attributes: p.Attributes()}}
	if err != nil || stop || !reflect.DeepEqual(run, want) {
		t.Errorf("read %+v, %v, %v", run, stop, err)
	}
}

func TestRunOfABlob(t *testing.T) {
	p := packet.Packet{State: "In:A", Blob: &packet.Blob{Size: 300_000}}
	header := append(AppendEntry([]byte(`{"run":[`), 0, &p, false), "]}"...)
	if run, _, err := ParseRun(header, p.Blob.Size); err != nil || len(run) != 1 || run[0].Size != p.Blob.Size {
		t.Errorf("read %+v, %v", run, err)
	}
}

func TestReplyRoundTrip(t *testing.T) {
	want := Reply{Started: 3, Emit: []Emit{{3, "B", 2, nil}, {3, `odd "näme"`, 0, packet.Attributes{"sample": "S 07", "file": "näme"}}, {3, "B", 0, packet.Attributes{"lane": ""}}}, Done: []Done{{N: 3}, {N: 4, Failed: true, Error: "no\nway", Output: "tail"}, {N: 5, Failed: true, Error: "killed", How: How{Cut: true}}, {N: 6, Failed: true, Error: "no", How: How{Final: true, Later: true, After: 1.5}}}, Log: []string{"a line"}}
	var got Reply
	got.Reset()
	if err := got.Parse(want.Append(nil), 2); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
}

func TestViolations(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		blob   int64
	}{
		"no JSON": {"hello", 0}, "output beyond the blob": {`{"emit":[[0,"",5]]}`, 4}, "blob without output": {`{}`, 1},
		"negative size": {`{"emit":[[0,"",-1]]}`, 0}, "too few fields": {`{"emit":[[0]]}`, 0}, "too many fields": {`{"done":[[0,"a","b","c"]]}`, 0},
		"null": {`{"done":[[null]]}`, 0}, "wrong type": {`{"emit":[["0","",0]]}`, 0},
		"attributes that are no object": {`{"emit":[[0,"",0,"S07"]]}`, 0}, "an attribute that is no text": {`{"emit":[[0,"",0,{"lane":7}]]}`, 0},
		"an attribute that is null": {`{"emit":[[0,"",0,{"lane":null}]]}`, 0}, "something behind attributes": {`{"emit":[[0,"",0,{},1]]}`, 0},
	} {
		var r Reply
		r.Reset()
		var violation Violation
		if err := r.Parse([]byte(c.header), c.blob); !errors.As(err, &violation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := append([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, "x"...)
	var violation Violation
	if _, _, err := ReadHeader(bufio.NewReader(bytes.NewReader(long))); !errors.As(err, &violation) {
		t.Errorf("a header of 4 GiB: %v", err)
	}
	if _, _, err := ReadHeader(bufio.NewReader(strings.NewReader("\x00\x00\x00\x09\x00\x00\x00\x00{}"))); err != io.ErrUnexpectedEOF {
		t.Errorf("a cut frame: %v", err)
	}
}

// The fast parser takes nothing that the slow one reads otherwise.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"started":1,"emit":[[1,"B",2]],"done":[[1],[2,"e","o"]],"log":["x"]}`), int64(2))
	f.Add([]byte(`{"emit":[[0,"",0]]}`), int64(0))
	f.Add([]byte(`{"emit":[[0,"",0,{"sample":"S07","lane":""}],[0,"B",1,{}]]}`), int64(1))
	f.Fuzz(func(t *testing.T, header []byte, blob int64) {
		var fast, slow Reply
		fast.Reset()
		slow.Reset()
		if !fast.parseFast(header) {
			return
		}
		if err := slow.parseSlow(header); err != nil {
			t.Fatalf("%q is taken fast, and slowly gives %v", header, err)
		}
		if !slices.EqualFunc(fast.Emit, slow.Emit, sameEmit) || !slices.Equal(fast.Done, slow.Done) || fast.Started != slow.Started {
			t.Errorf("%q: %+v fast, %+v slowly", header, fast, slow)
		}
	})
}

func sameEmit(a, b Emit) bool {
	return a.N == b.N && a.State == b.State && a.Size == b.Size && maps.Equal(a.Attributes, b.Attributes)
}

func FuzzRun(f *testing.F) {
	f.Add([]byte(`{"run":[[0,"A:A",3]]}`), int64(3))
	f.Add([]byte(`{"run":[[0,"A:A",1,"id","ship",0,{"sample":"S07"}],[0,"A:B",2,"id","ship",0,{},"00-x"]]}`), int64(3))
	f.Fuzz(func(t *testing.T, header []byte, blob int64) {
		run, _, err := ParseRun(header, blob)
		sum := int64(0)
		for _, e := range run {
			if e.Size < 0 {
				t.Errorf("a negative size from %q", header)
			}
			sum += e.Size
		}
		if err == nil && sum != blob {
			t.Errorf("%q holds %d of %d bytes", header, sum, blob)
		}
	})
}
