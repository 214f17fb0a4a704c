package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/packet"
)

// TestEachOutageIsWaitedFor: a node that was back for a while is waited for again, even if
// that was too short for what is sent; one that is away for long is not.
func TestEachOutageIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		s := &sender{node: "n", client: api.NewClient(nil), away: nodeAway, say: func(line string) { said = append(said, line) }}
		var back time.Time // when the node is there again
		s.find = func(context.Context) (*api.Client, string, error) {
			if !time.Now().Before(back) {
				return api.NewClient(nil), "n", nil
			}
			return nil, "", local.ErrNone
		}
		attempts := 0
		err := s.keep(t.Context(), func(context.Context) error {
			if attempts++; attempts == 3 {
				return nil
			}
			time.Sleep(40 * time.Second) // of a packet that takes longer
			back = time.Now().Add(20 * time.Second)
			return errors.New("broken pipe")
		})
		if err != nil || attempts != 3 || len(said) != 2 {
			t.Errorf("%v after %d attempts, said %q; expected the third to succeed, and to be told of two outages", err, attempts, said)
		}

		began := time.Now()
		err = s.keep(t.Context(), func(context.Context) error { return errors.New("reset") })
		if took := time.Since(began); err == nil || took > nodeAway+time.Second {
			t.Errorf("%v after %v; expected an error after %v", err, took, nodeAway)
		}
	})
}

// TestRenumber: what a node says of a packet of one request names the line that it came from.
func TestRenumber(t *testing.T) {
	for _, c := range []struct {
		err    error
		before int
		want   string
	}{
		{&api.Problem{Status: 503, Detail: "packet 1: the node is ending"}, 36, "packet 37: the node is ending"},
		{&api.Problem{Status: 400, Detail: "packet 3: state \"a\""}, 0, "packet 3: state \"a\""},
		{&api.Problem{Status: 415, Detail: "a body of packet 3: no"}, 5, "a body of packet 3: no"},
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
		{fmt.Errorf("away: %w", &api.Problem{Status: http.StatusServiceUnavailable}), true},
		{fmt.Errorf("refused: %w", &api.Problem{Status: http.StatusBadRequest}), false},
		{usageError{errors.New("no")}, false},
	} {
		got := again(id, c.err)
		if strings.Contains(got.Error(), "--id "+id.String()) != c.want || !errors.Is(got, c.err) {
			t.Errorf("%v: %v; expected how to send again: %v", c.err, got, c.want)
		}
	}
}
