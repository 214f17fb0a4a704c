package link

import (
	"bytes"
	"crypto/sha256"
	"io"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

// TestIdle has a stream of frames that says nothing for longer than a write may
// take: no time limit of what was written before may end it.
func TestIdle(t *testing.T) {
	t.Parallel()
	e := serve(t, "tcp", nil)
	p := e.meet(nil, Client{})
	pull := func() {
		t.Helper()
		e.put("a")
		leases, err := p.Store().Pull(t.Context(), inbox, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := leases[0].Ack(); err != nil {
			t.Fatal(err)
		}
	}
	pull()
	select {
	case <-p.Gone():
		t.Fatal("the node is gone although nothing happened")
	case <-time.After(stall + time.Second):
	}
	pull()
	testenv.Eventually(t, 5*time.Second, "both are acknowledged", func() bool { return e.frames() == 0 })
}

// TestSlowLink pulls frames, and then reads large data, over a link that takes
// longer for them than for anything that has a time limit.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	e := serve(t, "tcp", nil)
	cable, p := wire(t, e)
	data := bytes.Repeat([]byte("x"), store.MaxFrame)
	const frames = 5
	for range frames {
		e.put(string(data))
	}
	blob := packet.Blob{Sum: sha256.Sum256(data), Size: int64(len(data))}
	if err := p.Store().PutBlob(t.Context(), blob, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	cable.Slow(400 << 10)
	begin := time.Now()
	leases, err := p.Store().Pull(t.Context(), inbox, frames)
	if err != nil || len(leases) != frames {
		t.Fatalf("%d leases, %v, after %v", len(leases), err, time.Since(begin))
	}
	r, err := p.Store().OpenBlob(t.Context(), blob)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != blob.Size {
		t.Fatalf("read %d bytes of large data, %v", n, err)
	}
	took := time.Since(begin)
	if took < stall {
		t.Errorf("it took %v; a test of what is slow needs more than %v", took, stall)
	}
	for _, l := range leases {
		if err := l.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, 5*time.Second, "all are acknowledged", func() bool { return e.frames() == 0 })
	t.Logf("%d MiB took %v", frames+1, took)
}

// TestCutSocket has a node of this machine that is stopped.
func TestCutSocket(t *testing.T) {
	t.Parallel()
	e := serve(t, "unix", nil)
	cable, p := wire(t, e)
	leases, waits := hold(t, e, p)
	cable.Cut()
	gone(t, e, p, leases, waits, 8*time.Second)
}
