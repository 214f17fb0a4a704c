package link

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/store"
)

// BenchmarkPull pulls and acknowledges frames, with a few pulls of a few frames
// open, as a node does.
func BenchmarkPull(b *testing.B) {
	for _, network := range []string{"tcp", "unix"} {
		for _, size := range []int{16 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", network, size>>10), func(b *testing.B) {
				e := serve(b, network, nil)
				p := e.meet(nil, Client{})
				data := bytes.Repeat([]byte("x"), size)
				room := make(chan struct{}, 256) // keeps the store small
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				b.SetBytes(int64(size))
				b.ResetTimer()
				var g errgroup.Group
				g.Go(func() error {
					for range b.N {
						room <- struct{}{}
						if err := e.append(ctx, inbox, store.Frame{Data: data, Packets: 1}); err != nil {
							return err
						}
					}
					return nil
				})
				taken := make(chan int, 64)
				var pulls errgroup.Group
				for range 4 {
					pulls.Go(func() error {
						for {
							leases, err := p.Store().Pull(ctx, inbox, 8)
							if err != nil {
								return nil // the end
							}
							for _, l := range leases {
								if err := l.Ack(); err != nil {
									return err
								}
								<-room
							}
							taken <- len(leases)
						}
					})
				}
				for n := 0; n < b.N; {
					n += <-taken
				}
				b.StopTimer()
				cancel()
				if err := g.Wait(); err != nil {
					b.Fatal(err)
				}
				pulls.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
			})
		}
	}
}

// BenchmarkLatency measures from the append here to the pull there.
func BenchmarkLatency(b *testing.B) {
	for _, network := range []string{"tcp", "unix"} {
		b.Run(network, func(b *testing.B) {
			e := serve(b, network, nil)
			p := e.meet(nil, Client{})
			data := bytes.Repeat([]byte("x"), 128)
			var sum time.Duration
			for range b.N {
				got := make(chan time.Time)
				var g errgroup.Group
				g.Go(func() error {
					leases, err := p.Store().Pull(b.Context(), inbox, 8)
					if err == nil {
						got <- time.Now()
						err = leases[0].Ack()
					}
					return err
				})
				begin := time.Now()
				if err := e.append(b.Context(), inbox, store.Frame{Data: data, Packets: 1}); err != nil {
					b.Fatal(err)
				}
				sum += (<-got).Sub(begin)
				if err := g.Wait(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(sum.Microseconds())/float64(b.N), "µs/packet")
		})
	}
}

// BenchmarkAppend puts frames into the store there, a few at a time.
func BenchmarkAppend(b *testing.B) {
	e := serve(b, "tcp", nil)
	s := e.meet(nil, Client{}).Store()
	f := store.Frame{Data: bytes.Repeat([]byte("x"), 64<<10), Packets: 1}
	b.SetBytes(int64(len(f.Data)))
	b.ResetTimer()
	var g errgroup.Group
	g.SetLimit(4)
	for range b.N {
		g.Go(func() error {
			if err := s.Append(b.Context(), inbox, f); err != nil {
				return err
			}
			leases, err := e.store.Pull(b.Context(), inbox, 1)
			if err != nil {
				return err
			}
			return leases[0].Ack()
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}
