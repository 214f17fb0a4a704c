package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// A full store takes no frames until there is room.
type full struct {
	store.Store
	room    atomic.Bool
	refused atomic.Int64
}

func (s *full) Commit(ctx context.Context, tx *store.Tx) error {
	if len(tx.Append) > 0 && !s.room.Load() {
		s.refused.Add(1)
		return store.ErrFull
	}
	return s.Store.Commit(ctx, tx)
}

// TestWhoStoppedWaitingHasNotSent has clients of every kind give up while the store
// is full: nothing of theirs arrives once it has room.
func TestWhoStoppedWaitingHasNotSent(t *testing.T) {
	s := &full{Store: pebble.InMemory(pebble.Config{})}
	n := node.New(node.Config{Name: "test", Store: s, Blobs: blob.Open(blob.Config{Dir: t.TempDir()}), Durability: node.Memory})
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
	}
	ended := make(chan error, 2)
	go func() { ended <- n.Run(ctx) }()
	busy := new(atomic.Int64)
	handler := Handler(Config{Node: n})
	go func() {
		ended <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			busy.Add(1)
			defer busy.Add(-1)
			handler.ServeHTTP(w, r)
		}))
	}()
	defer func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}()
	post := func(ctx context.Context, c *http.Client, path, kind string, body io.Reader) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node"+path, body)
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", kind)
		resp, err := c.Do(r)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	plain := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}
	impatient := &http.Client{Transport: plain.Transport, Timeout: 200 * time.Millisecond}
	client := api.NewClient(dial)
	for name, send := range map[string]func(ctx context.Context) error{
		"JSON": func(ctx context.Context) error {
			return post(ctx, plain, "/api/v1/states/A:A/packets", api.PacketType, strings.NewReader(`{"data":"x"}`))
		},
		"raw": func(ctx context.Context) error {
			return post(ctx, plain, "/api/v1/states/A:A/packets", api.RawType, strings.NewReader("x"))
		},
		"large": func(ctx context.Context) error {
			return post(ctx, plain, "/api/v1/states/A:A/packets", api.RawType, strings.NewReader(strings.Repeat("x", store.MaxInline+1)))
		},
		"a time-out": func(ctx context.Context) error {
			return post(ctx, impatient, "/api/v1/states/A:A/packets", api.RawType, strings.NewReader("x"))
		},
		"one": func(ctx context.Context) error {
			_, err := client.Send(ctx, api.Sending{ID: packet.NewID(), State: "A:A"}, strings.NewReader("x"), 1)
			return err
		},
		"many": func(ctx context.Context) error {
			_, err := client.SendMany(ctx, list(io.EOF, api.Sending{State: "A:A"}, api.Sending{State: "A:A"}))
			return err
		},
		"an open end": func(ctx context.Context) error {
			given := false
			_, err := client.SendMany(ctx, func() (api.Sending, error) {
				if !given {
					given = true
					return api.Sending{State: "A:A"}, nil
				}
				<-ctx.Done() // the body goes on
				return api.Sending{}, ctx.Err()
			})
			return err
		},
	} {
		ctx, stop := context.WithCancel(t.Context())
		sent := make(chan error)
		before := s.refused.Load()
		go func() { sent <- send(ctx) }()
		testenv.Eventually(t, 10*time.Second, name+": the store refuses", func() bool { return s.refused.Load() > before })
		if name != "a time-out" {
			stop()
		}
		if err := <-sent; err == nil {
			t.Errorf("%s: taken", name)
		}
		stop()
		testenv.Eventually(t, 10*time.Second, name+": the node notices", func() bool { return busy.Load() == 0 })
	}
	s.room.Store(true)
	if err := n.Inject(t.Context(), packet.Packet{State: "A:A", Data: "after"}); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := n.Rests(t.Context(), "A:A", false, func(p node.Rested) bool { got = append(got, p.Data); return true }); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != "after" {
		t.Errorf("%q is there; expected what was sent after there was room alone", got)
	}
	client.Close()
	plain.CloseIdleConnections()
}
