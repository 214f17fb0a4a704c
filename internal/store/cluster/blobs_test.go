package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/testenv"
	"github.com/recap/pumpkin/packet"
)

const greet = store.Queue("in.greet")

// openOn opens a store of the group on the servers and closes it at the end.
func openOn(t testing.TB, c *servers, group string, adjust func(*Config)) *Store {
	t.Helper()
	cfg := Config{URLs: c.urls(), Group: group}
	if adjust != nil {
		adjust(&cfg)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// appendTo appends a frame and waits until it is safe.
func appendTo(ctx context.Context, s *Store, to store.Queue, f store.Frame) error {
	return s.Commit(ctx, &store.Tx{Append: []store.Append{{To: to, Frame: f}}, Durable: true})
}

// noise is data that looks like nothing else.
func noise(seed byte, size int) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

func readBlob(t *testing.T, b *Blobs, blob packet.Blob) []byte {
	t.Helper()
	file, err := b.Open(blob)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := io.ReadAll(packet.Verify(blob, file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// frameOf is a frame of one packet that names the blob.
func frameOf(t *testing.T, blob packet.Blob) store.Frame {
	t.Helper()
	frame := packet.AppendFrame(nil, packet.FrameHeader{}, []packet.Packet{{State: "String:RAW", Blob: &blob}})
	if !packet.FrameHasBlobs(frame) {
		t.Fatal("the frame is said to name no blob")
	}
	return store.Frame{Data: frame, Packets: 1, Blobs: []packet.Sum{blob.Sum}}
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	one, two := openOn(t, c, "blobs", nil), openOn(t, c, "blobs", nil)
	for _, size := range []int{0, 1, chunk, 3*chunk + 7} {
		data := noise(1, size)
		blob, err := one.Blobs().Put(t.Context(), bytes.NewReader(data), int64(size))
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if blob != (packet.Blob{Sum: sha256.Sum256(data), Size: int64(size)}) {
			t.Errorf("%d bytes are said to be %+v", size, blob)
		}
		if got := readBlob(t, two.Blobs(), blob); !bytes.Equal(got, data) {
			t.Errorf("the other node reads %d bytes that are not the %d that were put", len(got), size)
		}
		again, err := two.Blobs().Put(t.Context(), bytes.NewReader(data), int64(size))
		if err != nil || again != blob {
			t.Errorf("put again: %+v, %v", again, err)
		}
		if size > 0 {
			_, err := one.Blobs().Put(t.Context(), bytes.NewReader(data), int64(size)-1)
			if !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("a byte too much: %v", err)
			}
		}
	}
	if n := objects(t, one.Blobs()); n != 4 {
		t.Errorf("%d objects are there; expected one for each of 4 data", n)
	}
	if _, err := one.Blobs().Open(packet.Blob{Sum: packet.Sum{1}, Size: 1}); !errors.Is(err, errNoBlob) {
		t.Errorf("what is not there opens with %v", err)
	}
	failing := errors.New("the source broke")
	_, err := one.Blobs().Put(t.Context(), io.MultiReader(bytes.NewReader(noise(2, 2*chunk)), failingReader{failing}), 1<<20)
	if !errors.Is(err, failing) || errors.Is(err, store.ErrBroken) {
		t.Errorf("an error of the source became %v", err)
	}
	if n := objects(t, one.Blobs()); n != 4 {
		t.Errorf("%d objects are there; expected what failed to leave nothing", n)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// objects counts what has chunks in the bucket, described or not.
func objects(t *testing.T, b *Blobs) int {
	t.Helper()
	stream, err := b.s.js.Stream(t.Context(), "OBJ_"+b.objects.bucket)
	if err != nil {
		t.Fatal(err)
	}
	return len(subjectsOf(t, stream, "$O."+b.objects.bucket+".M.>"))
}

// TestBlobMemory puts more than memory should hold at a time.
func TestBlobMemory(t *testing.T) { // alone, since it looks at the process's memory
	c := startServers(t, 1, nil)
	s := openOn(t, c, "memory", nil)
	const size = 32 << 20
	src := &zeros{left: size}
	blob, err := s.Blobs().Put(t.Context(), src, size)
	if err != nil {
		t.Fatal(err)
	}
	if src.most > 64<<20 {
		t.Errorf("while %d MiB went up, %d MiB were in use", size>>20, src.most>>20)
	}
	file, err := s.Blobs().Open(blob)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n, err := io.Copy(io.Discard, packet.Verify(blob, file)); n != size || err != nil {
		t.Errorf("%d bytes came back, %v", n, err)
	}
}

// zeros is data that notes how much memory is in use while it is read.
type zeros struct {
	left int
	most uint64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	if z.left%(8<<20) == 0 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		z.most = max(z.most, m.HeapAlloc)
	}
	n := min(len(p), z.left, 64<<10)
	clear(p[:n])
	z.left -= n
	return n, nil
}

// What a frame names stays, wherever the frame is and whoever put it; what none
// names goes.
func TestCollect(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	const grace = 400 * time.Millisecond
	quick := func(cfg *Config) { cfg.Grace = grace }
	one, two := openOn(t, c, "collect", quick), openOn(t, c, "collect", quick)
	put := func(seed byte) packet.Blob {
		t.Helper()
		blob, err := one.Blobs().Put(t.Context(), bytes.NewReader(noise(seed, chunk+1)), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return blob
	}
	named, leased := put(1), put(2)
	if err := appendTo(t.Context(), one, greet, frameOf(t, named)); err != nil {
		t.Fatal(err)
	}
	if err := appendTo(t.Context(), one, "in.other", frameOf(t, leased)); err != nil {
		t.Fatal(err)
	}
	leases, err := two.Pull(t.Context(), "in.other", 1)
	if err != nil {
		t.Fatal(err)
	}
	unnamed := put(3)
	// A node that died while it put something.
	if _, err := one.js.Publish(t.Context(), "$O."+one.Blobs().objects.bucket+".C.stray", []byte("x")); err != nil {
		t.Fatal(err)
	}
	gone := func(blob packet.Blob) bool {
		_, _, err := one.Blobs().lookUp(t.Context(), blob.Sum)
		if err != nil && !errors.Is(err, errNoBlob) {
			t.Fatal(err)
		}
		return err != nil
	}
	testenv.Eventually(t, 20*time.Second, "what no frame names is gone, and the chunk of nothing", func() bool {
		stream, err := one.js.Stream(t.Context(), "OBJ_"+one.Blobs().objects.bucket)
		if err != nil {
			t.Fatal(err)
		}
		return gone(unnamed) && len(subjectsOf(t, stream, "$O."+one.Blobs().objects.bucket+".C.>")) == 2
	})
	for _, blob := range []packet.Blob{named, leased} {
		if got := readBlob(t, two.Blobs(), blob); len(got) != chunk+1 {
			t.Errorf("%d bytes of what a frame names are left", len(got))
		}
	}
	if err := leases[0].Ack(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 20*time.Second, "what the acknowledged frame named is gone", func() bool { return gone(leased) })
	if gone(named) {
		t.Error("what a frame names is gone")
	}
}

// A blob that is used between the look at all frames and its removal stays.
func TestCollectRace(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	s := openOn(t, c, "race", nil)
	blob, err := s.Blobs().Put(t.Context(), strings.NewReader("data"), 100)
	if err != nil {
		t.Fatal(err)
	}
	_, before, err := s.Blobs().lookUp(t.Context(), blob.Sum)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Blobs().renew(t.Context(), blob.Sum); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Blobs().remove(t.Context(), before); gone || err != nil {
		t.Fatalf("what was renewed is removed: %v, %v", gone, err)
	}
	_, now, err := s.Blobs().lookUp(t.Context(), blob.Sum)
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Blobs().remove(t.Context(), now); !gone || err != nil {
		t.Fatalf("what nobody renewed stays: %v, %v", gone, err)
	}
	if _, err := s.Blobs().Put(t.Context(), strings.NewReader("data"), 100); err != nil {
		t.Fatal(err)
	}
	if got := readBlob(t, s.Blobs(), blob); string(got) != "data" {
		t.Errorf("put again, it is %q", got)
	}
}

// A temporary file of large data has no name.
func TestOpenLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	c := startServers(t, 1, nil)
	s := openOn(t, c, "open", nil)
	blob, err := s.Blobs().Put(context.Background(), strings.NewReader("data"), 100)
	if err != nil {
		t.Fatal(err)
	}
	file, err := s.Blobs().Open(blob)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "pmk-large-") {
			t.Errorf("%s has a name", e.Name())
		}
	}
}
