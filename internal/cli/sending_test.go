package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/packet"
)

// TestRenumber: what a node says of a packet of one request names the line that it came from.
func TestRenumber(t *testing.T) {
	for _, c := range []struct {
		err    error
		before int
		want   string
	}{
		{&web.Problem{Status: 503, Detail: "packet 1: the node is ending"}, 36, "packet 37: the node is ending"},
		{&web.Problem{Status: 400, Detail: "packet 3: state \"a\""}, 0, "packet 3: state \"a\""},
		{&web.Problem{Status: 415, Detail: "a body of packet 3: no"}, 5, "a body of packet 3: no"},
		{errors.New("packet 1: of nobody"), 5, "packet 1: of nobody"},
	} {
		got := renumber(c.err, c.before)
		if got.Error() != c.want {
			t.Errorf("%v after %d: %v, want %s", c.err, c.before, got, c.want)
		}
	}
}

// TestAgain: how to send again is said where it is not known what was taken, as when the
// last attempt came to a node that was ending.
func TestAgain(t *testing.T) {
	id := packet.NewID()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{errors.New("broken pipe"), true},
		{fmt.Errorf("away: %w", &web.Problem{Status: http.StatusServiceUnavailable}), true},
		{fmt.Errorf("refused: %w", &web.Problem{Status: http.StatusBadRequest}), false},
		{usageError{errors.New("no")}, false},
	} {
		got := again(id, c.err)
		if strings.Contains(got.Error(), "--id "+id.String()) != c.want || !errors.Is(got, c.err) {
			t.Errorf("%v: %v; expected how to send again: %v", c.err, got, c.want)
		}
	}
}
