// Package adopt moves the packets in data folders that no node uses any more into
// the store of a running node.
package adopt

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// Run moves the frames of every other folder of the group that nobody has
// locked, one after the other, and removes a folder when all of it is in the
// store. What was stored here is removed there, a few frames at a time, so that
// those few are in both stores if the node is killed between, with the same ids,
// and none is lost. A damaged folder is not changed: all of it is there twice
// then. Run returns when there is nothing more to move, or ctx ends. What goes
// wrong with a folder is logged, and does not stop it before the next. It says
// whether any of them was damaged.
func Run(ctx context.Context, cfg Config) (damaged bool) {
	group := cfg.Own.Node.Group
	if err := folder.Sweep(cfg.Data, group); err != nil {
		cfg.Log.Warn("what is left of data folders whose packets were taken over could not be removed", "error", err)
	}
	dirs, err := folder.List(cfg.Data, group)
	if err != nil {
		cfg.Log.Warn("packets that other nodes have left could not be looked for", "error", err)
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
			cfg.Log.Debug("a data folder is in use", "folder", dir, "error", err)
		default:
			cfg.Log.Warn("packets stay in a data folder that no node uses; the next start tries again", "folder", dir, "error", err)
		}
		damaged = damaged || m.damaged > 0
	}
	return damaged
}

func (m *move) folder(ctx context.Context) error {
	first := m.Own.Node // should its description be missing
	from, err := folder.Open(ctx, m.dir, first, nil)
	if err != nil {
		return err
	}
	opened := true
	defer func() {
		if opened {
			_ = from.Close() // nothing was written
		}
	}()
	m.blobs = blob.Open(blob.Config{Dir: filepath.Join(m.dir, folder.BlobsDir)})
	holds, err := m.inspect(ctx)
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
	opened = false
	if m.damaged == 0 {
		if err := from.Remove(); err != nil {
			return err
		}
		m.report()
		return nil
	}
	aside, err := from.Retire()
	if err != nil {
		return err
	}
	m.Log.Error("took over packets from a data folder that no node used, but for what is damaged: 'pmk store check' says what it is; remove the folder when you no longer need it",
		"folder", aside, "packets", m.packets, "damaged", m.damaged, "from", m.dir)
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

// inspect reads all of the folder before anything is moved: what a newer version
// wrote stays where it is, and what is broken is reported. holds is false if there is
// nothing to move.
func (m *move) inspect(ctx context.Context) (holds bool, err error) {
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
