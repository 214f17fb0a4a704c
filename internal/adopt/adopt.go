// Package adopt moves the packets in data folders that no node uses any more into
// the store of a running node.
package adopt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// Config says what goes where.
type Config struct {
	// Data is where the folders of all groups are, and Own the one that the
	// node has.
	Data string
	Own  *folder.Folder
	// Store and Blobs take the packets.
	Store store.Store
	Blobs store.Blobs
	// Arrived is called after packets have come to the store; nil is nobody.
	Arrived func()
	Log     *slog.Logger
}

// Run moves the frames of every other folder of the group that nobody has
// locked, one after the other, and removes a folder when all of it is in the
// store. What was stored here is removed there, a few frames at a time, so that
// those few are in both stores if the node is killed between, with the same ids,
// and none is lost. A damaged folder is not changed: all of it is there twice
// then. Run returns when there is nothing more to move, or ctx ends. What goes
// wrong with a folder is logged, and does not keep it from the next. It says
// whether any of them was damaged.
func Run(ctx context.Context, cfg Config) (damaged bool) {
	group := cfg.Own.Node.Group
	if err := folder.Sweep(cfg.Data, group); err != nil {
		cfg.Log.Warn("removing what is left of data folders whose packets were taken over", "error", err)
	}
	dirs, err := folder.List(cfg.Data, group)
	if err != nil {
		cfg.Log.Warn("looking for packets that other nodes have left", "error", err)
		return false
	}
	for _, dir := range dirs {
		if ctx.Err() != nil {
			break
		}
		if dir == cfg.Own.Dir || !folder.HoldsPackets(dir) {
			continue
		}
		if node, err := folder.ReadNode(dir); err == nil && node.Group == group && !node.Ours(&cfg.Own.Node) {
			continue // of another key or machine; the start has said so
		}
		m := &move{Config: cfg, dir: dir}
		err := m.folder(ctx)
		var used *folder.InUseError
		switch {
		case err == nil, ctx.Err() != nil:
		case errors.As(err, &used):
			cfg.Log.Debug(err.Error())
		default:
			cfg.Log.Warn(fmt.Sprintf("packets in %s stay there: %v; the next start tries again", dir, err))
		}
		damaged = damaged || m.damaged > 0
	}
	return damaged
}

// A move is that of one folder.
type move struct {
	Config
	dir     string
	from    *pebble.Files
	blobs   *blob.Store // of the folder
	packets int
	damaged int
	waited  bool // for room, and that was said
}

func (m *move) folder(ctx context.Context) error {
	first := m.Own.Node // should its description be missing
	from, err := folder.Open(ctx, m.dir, first, nil)
	if err != nil {
		return err
	}
	kept := true
	defer func() {
		if kept {
			_ = from.Close() // nothing was written
		}
	}()
	m.blobs = blob.Open(blob.Config{Dir: filepath.Join(m.dir, folder.BlobsDir)})
	holds, err := m.look(ctx)
	if err != nil || !holds {
		return err
	}
	err = m.all(ctx)
	if m.packets > 0 {
		m.arrived()
	}
	if err != nil {
		return err
	}
	kept = false
	if m.damaged == 0 {
		if err := from.Remove(); err != nil {
			return err
		}
		m.report("")
		return nil
	}
	aside, err := from.Retire()
	if err != nil {
		return err
	}
	m.report(fmt.Sprintf("; %s stayed in %s: 'pmk store check %s' says what it is; remove the folder when you no longer need it", english.Plural(m.damaged, "damaged part", ""), aside, aside))
	return nil
}

// all moves what the folder has.
func (m *move) all(ctx context.Context) (err error) {
	if m.damaged > 0 {
		m.from, err = pebble.OpenFiles(m.dir)
	} else {
		m.from, err = pebble.OpenToMove(m.dir)
	}
	if err != nil {
		return err
	}
	for _, table := range []store.Table{onceTable, seenTable} {
		if err = m.records(ctx, table); err != nil {
			break
		}
	}
	if err == nil {
		err = m.frames(ctx)
	}
	return errors.Join(err, m.from.Close())
}

func (m *move) arrived() {
	if m.Arrived != nil {
		m.Arrived()
	}
}

// report says what came from the folder.
func (m *move) report(more string) {
	say := m.Log.Info
	switch {
	case more != "":
		say = m.Log.Error
	case m.packets == 0:
		say = m.Log.Debug
	}
	say(fmt.Sprintf("took over %s from %s, which no node used%s", english.Plural(m.packets, "packet", ""), m.dir, more))
}

// look reads all of the folder before anything is moved: what a newer version
// wrote stays where it is, and what is broken is reported. holds is false if there is
// nothing to move.
func (m *move) look(ctx context.Context) (holds bool, err error) {
	var newer error
	report, err := pebble.Check(ctx, m.dir, func(f pebble.Found) error {
		_, _, err := packet.ParseFrame(f.Data)
		if errors.Is(err, packet.ErrNewerFrame) {
			newer = err
		}
		return err
	})
	if newer != nil {
		return false, newer
	}
	for _, d := range report.Damage {
		m.broken(d.String())
	}
	// What a node has set aside before is not to go with the folder.
	aside, globErr := filepath.Glob(filepath.Join(m.dir, folder.DamagedDir, "*"))
	for _, path := range aside {
		m.broken(path + " was set aside by a node that could not read it")
	}
	return len(report.Queues) > 0 || report.Records > 0 || m.damaged > 0, errors.Join(err, globErr)
}

func (m *move) broken(what string) {
	m.damaged++
	m.Log.Error("damaged: " + what)
}

// The pauses while the store takes nothing.
const (
	minPause = 10 * time.Millisecond
	maxPause = time.Second
)

// untilRoom does it again until the store takes it.
func (m *move) untilRoom(ctx context.Context, do func() error) error {
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		err := do()
		if !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrBroken) || ctx.Err() != nil {
			return err
		}
		if !m.waited {
			m.waited = true
			m.Log.Info(fmt.Sprintf("the packets in %s, which no node uses, are taken over when there is room: %v", m.dir, err))
		}
		m.arrived() // what came so far may make the room
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// blob puts the large data of p, if it has any, beside the frames, and holds
// it. Data that is damaged is reported and stays where it is; the packet goes on
// without, and fails where it is needed, as it would have there.
func (m *move) blob(ctx context.Context, p *packet.Packet) error {
	if p.Blob == nil {
		return nil
	}
	m.Blobs.Hold(p.Blob.Sum)
	if file, err := m.Blobs.Open(*p.Blob); err == nil {
		return file.Close() // it is there already
	}
	file, err := m.blobs.Open(*p.Blob)
	if err == nil {
		defer file.Close() // only read
		if _, err = m.Blobs.Put(ctx, packet.Verify(*p.Blob, file), p.Blob.Size); err == nil {
			m.drop(p) // Put holds it as well
			return nil
		}
	}
	switch {
	case errors.Is(err, store.ErrBroken), errors.Is(err, store.ErrTooLarge), ctx.Err() != nil:
		m.drop(p)
		return err
	}
	m.broken(fmt.Sprintf("packet %s in %s: %v", p.ID, p.State, err))
	return nil
}

func (m *move) drop(p *packet.Packet) {
	if p.Blob == nil {
		return
	}
	if err := m.Blobs.Drop(p.Blob.Sum); err != nil {
		m.Log.Debug("removing large data that no packet needs", "error", err)
	}
}
