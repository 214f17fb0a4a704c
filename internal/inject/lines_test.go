package inject

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       int
		want       []string
		err        string
	}{
		{name: "nothing", text: "", want: nil},
		{name: "one", text: "a\n", want: []string{"a"}},
		{name: "without an end", text: "a\nb", want: []string{"a", "b"}},
		{name: "empty lines", text: "\n\na\n\n", want: []string{"", "", "a", ""}},
		{name: "of Windows", text: "a\r\nb\r\n", want: []string{"a\r", "b\r"}},
		{name: "one end each", text: "a\r\r\n\n\r", want: []string{"a\r\r", "", "\r"}},
		{name: "blanks stay", text: "  a\t \n", want: []string{"  a\t "}},
		{name: "any bytes", text: "\x00\xff\n", want: []string{"\x00\xff"}},
		{name: "at the limit", text: "abcd\nabcd", most: 4, want: []string{"abcd", "abcd"}},
		{name: "one over", text: "a\nabcde\nb\n", most: 4, want: []string{"a"}, err: "line 2 has more than 4 bytes"},
		{name: "far over", text: "a\n" + strings.Repeat("x", 1000), most: 4, want: []string{"a"}, err: "line 2 has more than 4 bytes"},
		{name: "beyond the buffer", text: strings.Repeat("x", 200<<10) + "\n", want: []string{strings.Repeat("x", 200<<10)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			lines := NewLines(iotest.HalfReader(strings.NewReader(c.text)), c.most)
			line, err := lines.Next()
			for ; err == nil; line, err = lines.Next() {
				got = append(got, string(line))
			}
			if err == io.EOF {
				err = nil
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("lines %q; expected %q", got, c.want)
			}
			if c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
				t.Errorf("error %v; expected %q", err, c.err)
			}
		})
	}
	broken := errors.New("the pipe is broken")
	if _, err := NewLines(iotest.ErrReader(broken), 0).Next(); !errors.Is(err, broken) {
		t.Errorf("%v; expected what the reader said", err)
	}
}

// refuser takes so many packets and no more.
type refuser struct {
	room int
	took []packet.Packet
}

var errNoMore = errors.New("no more")

func (r *refuser) Inject(_ context.Context, p packet.Packet) error {
	if len(r.took) == r.room {
		return errNoMore
	}
	r.took = append(r.took, p)
	return nil
}

func (r *refuser) Batch() Batch { return alone(r.Inject) }

func (r *refuser) InjectData(ctx context.Context, p packet.Packet, _ io.Reader, _ int64, _ ...store.Record) error {
	return r.Inject(ctx, p)
}
