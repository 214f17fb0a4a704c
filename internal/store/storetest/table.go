package storetest

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/recap/pumpkin/internal/store"
)

// scan is what a table has below a prefix, in the order in which it is shown.
func (b *bench) scan(in store.Table, prefix string) (keys []string, records map[string]string) {
	b.Helper()
	records = map[string]string{}
	err := b.store.Scan(b.within(long), in, prefix, func(key string, value []byte) bool {
		keys = append(keys, key)
		records[key] = string(value)
		clear(value) // it is the caller's
		return true
	})
	if err != nil {
		b.Fatalf("scan %s: %v", in, err)
	}
	return keys, records
}

// Records are what was put last, by tables, in the order of their keys.
func testTables(b *bench) {
	if keys, _ := b.scan("none", ""); len(keys) > 0 {
		b.Errorf("a table that does not exist has %q", keys)
	}
	if _, ok, err := b.store.Get(b.within(long), store.Key{In: "none", Key: "x"}); ok || err != nil {
		b.Errorf("a record that does not exist: %v, %v", ok, err)
	}
	keys := []string{"a", "a\x00", "a\x00b", "a.*>", "a\xff", "a\xff\xff", "a\xffb", "b", " \n\t/\\'\"", "\x00", "\x00\x00", "\xff", "\xff\xff", "\xff\xff\x00", "ÄÖ", strings.Repeat("k", store.MaxKey), strings.Repeat("\xff", store.MaxKey)}
	want := map[string]string{}
	var tx store.Tx
	for i, key := range keys {
		value := strings.Repeat(key, i)
		want[key] = value
		tx.Put = append(tx.Put, record("a", key, value), record("ab", key, "of ab"), record("b", key+"x"[:min(1, store.MaxKey-len(key))], "of b"))
	}
	b.commit(&tx)
	b.records("a", want)

	large := bytes.Repeat([]byte("v\x00\xff"), store.MaxValue/3+1)[:store.MaxValue]
	want["b"], want["a\xff"] = string(large), "again"
	delete(want, "a\x00")
	delete(want, "\xff")
	b.commit(&store.Tx{
		Put:    []store.Record{record("a", "b", string(large)), record("a", "a\xff", "again")},
		Delete: []store.Key{{In: "a", Key: "a\x00"}, {In: "a", Key: "\xff"}, {In: "a", Key: "none"}, {In: "none", Key: "a"}},
	})
	b.records("a", want)
	if n := b.frames(); n > 0 {
		b.Errorf("records count as %d frames", n)
	}
	if b.kind.Promise.Kill {
		b.open(0, 0)
		b.records("a", want)
	}

	// Whoever scans may use the store, and end the scan.
	seen := 0
	err := b.store.Scan(b.within(long), "a", "", func(key string, _ []byte) bool {
		seen++
		b.commit(&store.Tx{Delete: []store.Key{{In: "a", Key: key}}})
		delete(want, key)
		return seen < 3
	})
	if err != nil || seen != 3 {
		b.Errorf("%d records were shown to a scan that ended after 3: %v", seen, err)
	}
	b.records("a", want)
}

// records sees that a table has those records, however it is asked.
func (b *bench) records(in store.Table, want map[string]string) {
	b.Helper()
	for _, prefix := range []string{"", "a", "a\x00", "a\xff", "\xff", "\xff\xff", "none", "b"} {
		var sorted []string
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if strings.HasPrefix(key, prefix) {
				sorted = append(sorted, key)
			}
		}
		keys, records := b.scan(in, prefix)
		if !slices.Equal(keys, sorted) {
			b.Errorf("below %q, %s has %s; expected %s", prefix, in, brief(keys...), brief(sorted...))
		}
		for key, value := range records {
			if value != want[key] {
				b.Errorf("the record %s is scanned as %s; expected %s", brief(key), brief(value), brief(want[key]))
			}
		}
	}
	for key, value := range want {
		got, ok, err := b.store.Get(b.within(long), store.Key{In: in, Key: key})
		if err != nil || !ok || string(got) != value {
			b.Errorf("the record %s is %s, %v, %v; expected %s", brief(key), brief(string(got)), ok, err, brief(value))
		}
	}
}

// What is no record is refused, with the whole transaction.
func testRefusedRecords(b *bench) {
	bad := []store.Record{
		record("", "x", "v"), record("A", "x", "v"), record("a.b", "x", "v"), record("a1", "x", "v"), record("a\x00", "x", "v"),
		record(store.Table(strings.Repeat("a", store.MaxTable+1)), "x", "v"),
		record("a", "", "v"), record("a", strings.Repeat("x", store.MaxKey+1), "v"),
	}
	for _, r := range append(bad, record("a", "x", strings.Repeat("v", store.MaxValue+1))) {
		if err := b.store.Commit(b.within(long), &store.Tx{Append: []store.Append{appendTo(greet, "x")}, Put: []store.Record{record("a", "good", "v"), r}}); err == nil {
			b.Errorf("put %s, %s, %d bytes: no error", brief(string(r.In)), brief(r.Key.Key), len(r.Value))
		}
	}
	for _, r := range bad {
		if err := b.store.Commit(b.within(long), &store.Tx{Append: []store.Append{appendTo(greet, "x")}, Delete: []store.Key{r.Key}}); err == nil {
			b.Errorf("delete %s, %s: no error", brief(string(r.In)), brief(r.Key.Key))
		}
		if _, _, err := b.store.Get(b.within(long), r.Key); err == nil {
			b.Errorf("get %s, %s: no error", brief(string(r.In)), brief(r.Key.Key))
		}
	}
	if b.get("a", "good") != "" || b.frames() > 0 {
		b.Error("something was done of transactions that were refused")
	}
}
