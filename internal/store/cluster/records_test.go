package cluster

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/recap/pumpkin/internal/store"
)

func write(t *testing.T, s *Store, tx store.Tx) {
	t.Helper()
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
}

// scan is the keys that Scan shows; their values are their keys.
func scan(t *testing.T, s *Store, table store.Table, prefix string) (keys []string) {
	t.Helper()
	err := s.Scan(t.Context(), table, prefix, func(key string, value []byte) bool {
		if key != string(value) {
			t.Errorf("key %q has the value of %q", key, value)
		}
		keys = append(keys, key)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestRecords(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, nil)
	one, two := openOn(t, c, "records", nil), openOn(t, c, "records", nil)
	keys := []string{
		"\x00", "\x00\x00", " ", ".", "*", ">", "a", "a.b", "abcdefg", "abcdefgh", "abcdefgh\x00", "abcdefghi", "abcdefghijklmnop",
		"abcdefghijklmnopq", "abd", "é", "\xff", "\xff\xff", strings.Repeat("k", store.MaxKey),
	}
	slices.Sort(keys)
	var tx store.Tx
	for _, i := range rand.Perm(len(keys)) {
		tx.Put = append(tx.Put, store.Record{Key: store.Key{In: "meet", Key: keys[i]}, Value: []byte(keys[i])})
	}
	tx.Put = append(tx.Put, store.Record{Key: store.Key{In: "meeting", Key: "a"}, Value: []byte("a")})
	write(t, one, tx)
	for _, prefix := range []string{"", "a", "abcdefg", "abcdefgh", "abcdefghi", "abcdefghijklmnop", "\xff", strings.Repeat("k", store.MaxKey), "none", "abcdefghnone"} {
		want := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !strings.HasPrefix(key, prefix) })
		if got := scan(t, two, "meet", prefix); !slices.Equal(got, want) {
			t.Errorf("keys that begin with %q are %q; expected %q", prefix, got, want)
		}
	}
	n := 0
	if err := two.Scan(t.Context(), "meet", "", func(string, []byte) bool { n++; return n < 2 }); err != nil || n != 2 {
		t.Errorf("a scan that was to end after 2 records showed %d, %v", n, err)
	}

	largest := noise(3, store.MaxValue)
	key := store.Key{In: "meet", Key: "a"}
	write(t, one, store.Tx{Put: []store.Record{{Key: key, Value: []byte("lost")}, {Key: key, Value: largest}}})
	if value, ok, err := two.Get(t.Context(), key); err != nil || !ok || !bytes.Equal(value, largest) {
		t.Errorf("the largest value has %d bytes, %v, %v", len(value), ok, err)
	}
	write(t, two, store.Tx{Put: []store.Record{{Key: key}}})
	if value, ok, err := one.Get(t.Context(), key); err != nil || !ok || len(value) > 0 {
		t.Errorf("an empty value has %d bytes, %v, %v", len(value), ok, err)
	}
	write(t, one, store.Tx{Delete: []store.Key{key, {In: "meet", Key: "never there"}}})
	if value, ok, err := two.Get(t.Context(), key); err != nil || ok {
		t.Errorf("a deleted record has the value %q, %v", value, err)
	}
	if got := scan(t, two, "meeting", ""); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the other table has %q", got)
	}
	// What is deleted leaves nothing.
	var all store.Tx
	for _, key := range keys {
		all.Delete = append(all.Delete, store.Key{In: "meet", Key: key})
	}
	all.Delete = append(all.Delete, store.Key{In: "meeting", Key: "a"})
	write(t, one, all)
	if info, err := one.records.Info(t.Context()); err != nil || info.State.Msgs > 0 {
		t.Errorf("the bucket holds %+v, %v", info.State, err)
	}
	if counts, err := two.Queues(t.Context()); err != nil || len(counts) > 0 {
		t.Errorf("records are counted as frames: %v, %v", counts, err)
	}
}

// The subject of a record tells its key, whatever the key is.
func TestRecordSubjects(t *testing.T) {
	t.Parallel()
	s := &tables{recordPrefix: "$KV.pmk_g_records."}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		key := make([]byte, 1+random.IntN(40))
		for i := range key {
			key[i] = byte(random.IntN(256))
		}
		subject := s.recordSubject(store.Key{In: "t", Key: string(key)})
		if got, ok := s.keyOf("t", subject); !ok || got != string(key) {
			t.Fatalf("key %q is read as %q", key, got)
		}
		if strings.ContainsAny(strings.TrimPrefix(subject, s.recordPrefix), " *>\t\r\n") || strings.Contains(subject, "..") {
			t.Fatalf("key %q has the subject %q", key, subject)
		}
		if got, ok := s.keyOf("tt", subject); ok {
			t.Fatalf("a record of another table has the key %q", got)
		}
	}
}

// What a server does not take is said when the store is opened.
func TestShortLines(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1, func(o *server.Options) { o.MaxControlLine = 1024 })
	refused(t, Config{URLs: c.urls()}, c.url(), "max_control_line")
}

// The same record is written and read by a cluster that loses a server meanwhile.
func TestRecordsOutlast(t *testing.T) {
	t.Parallel()
	c := startServers(t, 3, nil)
	s := openOn(t, c, "outlast", nil)
	for i := range 200 {
		if i == 50 {
			c.kill(0)
		}
		key := store.Key{In: "counts", Key: "in.greet"}
		ctx, cancel := context.WithTimeout(t.Context(), 2*stepWait)
		err := s.Commit(ctx, &store.Tx{Put: []store.Record{{Key: key, Value: fmt.Append(nil, i)}}, Durable: true})
		if err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
		value, ok, err := s.Get(ctx, key)
		if err != nil || !ok || string(value) != fmt.Sprint(i) {
			t.Fatalf("after write %d the value is %q, %v, %v", i, value, ok, err)
		}
		cancel()
	}
}
