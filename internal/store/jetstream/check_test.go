package jetstream

import "testing"

// TestStreamNumbers: what is known of a stream's frames without a list of them.
func TestStreamNumbers(t *testing.T) {
	st := &streamFiles{gone: map[uint64]bool{4: true, 10: true, 99: true}}
	there := map[uint64]bool{}
	for _, numbers := range [][]uint64{{3, 4, 5}, {}, {7, 10, 11, 20}} {
		b := &blockFile{}
		for _, n := range numbers {
			b.add(n)
			there[n] = !st.gone[n]
		}
		st.blocks = append(st.blocks, b)
	}
	if spans := len(st.blocks[2].frames); spans != 3 {
		t.Errorf("7, 10, 11 and 20 are %d spans", spans)
	}
	want := 0
	for n := range uint64(101) {
		if st.has(n) != there[n] {
			t.Errorf("frame %d rests there: %v", n, !there[n])
		}
		if there[n] {
			want++
		}
	}
	if st.count() != want {
		t.Errorf("%d frames rest there; expected %d", st.count(), want)
	}
}
