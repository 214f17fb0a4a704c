package inject

import (
	"context"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// recognise tells whether a file that seems to be new or changed is one that was taken and
// only had its names or rights changed, or its time, if all of its content is compared.
// Else it gives the record that goes with its packet.
func (f *finder) recognise(ctx context.Context, l stat, content []byte) (with []store.Record, known bool, err error) {
	if f.memory == nil {
		return nil, false, nil
	}
	r := remembered{size: l.size, changed: l.changed, status: l.status, content: packet.HashID("content", string(content)), name: l.name}
	with = []store.Record{f.memory.record(&r)}
	old, ok, err := f.memory.get(ctx, l.name)
	if err == nil && ok && old.size == r.size && old.content == r.content && (old.changed == r.changed || int64(len(content)) == l.size) {
		known, err = true, f.memory.in.Commit(ctx, &store.Tx{Put: with})
	}
	if f.memoryFails(ctx, err) {
		return nil, false, errBusy
	}
	return with, known, nil
}

// memoryFails tells whether err is one, and says so once, until all is well again.
func (f *finder) memoryFails(ctx context.Context, err error) bool {
	if err != nil && ctx.Err() == nil && !f.memory.failed {
		f.cfg.Log.Warn("files wait, since which of them were taken cannot be read or written", "folder", f.cfg.Dir, "error", err)
	}
	f.memory.failed = err != nil
	return err != nil
}

// forget forgets files that are gone for long. It does so now and then.
func (f *finder) forget(ctx context.Context) {
	if f.memory == nil || !f.memory.forgot.IsZero() && time.Since(f.memory.forgot) < forgetEvery {
		return
	}
	f.memory.forgot = time.Now()
	if err := f.memory.forget(ctx, time.Now().UnixNano(), f.path); err != nil {
		f.memoryFails(ctx, err)
	}
}

// isNew tells whether a file is none that was taken, as far as can be told without reading
// it. Where files move away, all are.
func (f *finder) isNew(ctx context.Context, l stat) bool {
	if f.memory == nil {
		return true
	}
	at, hash := f.memory.place(l)
	if *at == hash {
		return false
	}
	r, ok, err := f.memory.get(ctx, l.name)
	if f.memoryFails(ctx, err) {
		return false // a later look will tell
	}
	if !ok || r.size != l.size || r.changed != l.changed || r.status != l.status {
		return true
	}
	*at = hash
	return false
}
