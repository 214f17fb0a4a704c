package jetstream

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

func benchStore(b *testing.B, memory bool) *Store {
	b.Helper()
	s, err := Open(b.Context(), Config{Dir: b.TempDir(), Memory: memory})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkFrames appends frames of 256 packets of 128 bytes, while another
// pulls and acknowledges them.
func BenchmarkFrames(b *testing.B) {
	for name, memory := range map[string]bool{"disk": false, "memory": true} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b, memory)
			f := store.Frame{Data: make([]byte, 256*128), Packets: 256}
			done := make(chan error, 1)
			b.ResetTimer()
			go func() {
				for n := 0; n < b.N; {
					leases, err := s.Pull(context.Background(), greet, 16)
					if err != nil {
						done <- err
						return
					}
					for _, l := range leases {
						_ = l.Ack()
					}
					n += len(leases)
				}
				done <- nil
			}()
			for range b.N {
				if err := s.Append(b.Context(), greet, f); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)*256/b.Elapsed().Seconds(), "packets/s")
		})
	}
}

// BenchmarkLatency appends single packets at 1,000/s to a pull that waits.
func BenchmarkLatency(b *testing.B) {
	for name, memory := range map[string]bool{"disk": false, "memory": true} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b, memory)
			f := store.Frame{Data: make([]byte, 128), Packets: 1}
			starts, took := make(chan time.Time, b.N), make([]time.Duration, 0, b.N)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for len(took) < b.N {
					leases, err := s.Pull(context.Background(), greet, 16)
					if err != nil {
						b.Error(err)
						return
					}
					now := time.Now()
					for _, l := range leases {
						took = append(took, now.Sub(<-starts))
						_ = l.Ack()
					}
				}
			}()
			next := time.Now()
			for range b.N {
				next = next.Add(time.Millisecond)
				time.Sleep(time.Until(next))
				starts <- time.Now()
				if err := s.Append(b.Context(), greet, f); err != nil {
					b.Fatal(err)
				}
			}
			<-done
			report(b, took)
		})
	}
}

// BenchmarkFsync is what the disk takes for a write of 200 bytes that is to
// stay.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var took []time.Duration
	data := make([]byte, 200)
	for range b.N {
		began := time.Now()
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkCheck reads a store of 64 MiB.
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(b.Context(), Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	f := store.Frame{Data: make([]byte, 512<<10), Packets: 256}
	for range 128 {
		if err := s.Append(b.Context(), greet, f); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(128 * 512 << 10)
	for b.Loop() {
		if r, err := Check(dir, nil); err != nil || r.Damaged() > 0 {
			b.Fatal(r, err)
		}
	}
}
