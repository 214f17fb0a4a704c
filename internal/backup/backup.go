// Package backup copies the data folder of a node while the node runs. The copy is a
// data folder from which a node starts.
package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// Config says what is copied.
type Config struct {
	// From is the folder that the node has, and Store and Blobs what is in it.
	From  *folder.Folder
	Store *pebble.Store
	Blobs *blob.Store
	// Name is that of the node of the copy: two nodes must not have one name.
	Name string
}

// Progress is how far a backup is, and at its end what is in it.
type Progress struct {
	// Large counts the pieces of large data that are copied, and Of all.
	Large, Of int
	// Missing counts those that frames name and that are not there.
	Missing int
}

// partial ends the name of a folder whose backup goes on, or was cut off.
const partial = ".partial"

// Run copies the folder to dir, which does not exist or is empty. What was stored
// when it is called is in the copy, and of each later transaction all or nothing.
// report, unless nil, is called as it goes on. A backup that fails, or whose ctx
// ends, leaves nothing.
func Run(ctx context.Context, cfg Config, dir string, report func(Progress)) (done Progress, err error) {
	if err := usable(cfg.From.Dir, dir); err != nil {
		return done, err
	}
	to := dir + partial
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return done, err
	}
	if err := os.Mkdir(to, 0o700); errors.Is(err, fs.ErrExist) {
		return done, fmt.Errorf("%s is there: another backup goes on, or one was cut off; in that case remove it", to)
	} else if err != nil {
		return done, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(to))
		}
	}()
	release := cfg.Blobs.Stay()
	defer func() { err = errors.Join(err, release()) }()
	if err := cfg.room(to); err != nil {
		return done, err
	}
	if err := cfg.Store.Checkpoint(to); err != nil {
		return done, err
	}
	if done, err = cfg.large(ctx, to, report); err != nil {
		return done, err
	}
	node := cfg.From.Node
	node.Origin = node.ID()
	node.Name, node.Machine, node.Place = cfg.Name, "", "" // it may be brought to another machine
	if err := folder.Describe(to, node); err != nil {
		return done, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return done, err
	}
	if err := os.Rename(to, dir); err != nil {
		return done, err
	}
	return done, folder.SyncDir(filepath.Dir(dir))
}

// usable says why there can be no backup in dir.
func usable(from, dir string) error {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir {
		return fmt.Errorf("%q is not an absolute path", dir)
	}
	if below, err := filepath.Rel(from, dir); err == nil && below != ".." && !strings.HasPrefix(below, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%s is in the data folder %s itself; name another", dir, from)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: name a new folder", dir)
	}
	return nil
}

// room says whether there is room for the copy, where its files cannot be links: a
// store waits for room on a full disk, also for that of the copy.
func (cfg *Config) room(to string) error {
	probe := filepath.Join(to, "link")
	err := os.Link(filepath.Join(cfg.From.Dir, folder.NodeFile), probe)
	if err == nil {
		return os.Remove(probe)
	}
	need := cfg.Blobs.Used()
	entries, err := os.ReadDir(filepath.Join(cfg.From.Dir, folder.StoreDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it has gone
			need += info.Size()
		}
	}
	free, _, err := folder.Free(to)
	if err != nil {
		return err
	}
	if need > free {
		return fmt.Errorf("a backup takes %d MiB, and %s has %d MiB free", need>>20+1, filepath.Dir(to), free>>20)
	}
	return nil
}

// large copies the large data that frames of the copy name.
func (cfg *Config) large(ctx context.Context, to string, report func(Progress)) (done Progress, err error) {
	files, err := pebble.OpenFiles(to)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	if err := files.Blobs(ctx, func(packet.Sum) error { done.Of++; return nil }); err != nil {
		return done, err
	}
	if report != nil {
		report(done)
	}
	made := map[string]bool{}
	err = files.Blobs(ctx, func(sum packet.Sum) error {
		name := hex.EncodeToString(sum[:])
		name = filepath.Join(folder.BlobsDir, name[:2], name[2:])
		if dir := filepath.Dir(filepath.Join(to, name)); !made[dir] {
			made[dir] = true
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
		}
		err := linkOrCopy(filepath.Join(cfg.From.Dir, name), filepath.Join(to, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			done.Missing++
		case err != nil:
			return err
		default:
			done.Large++
		}
		if report != nil {
			report(done)
		}
		return nil
	})
	for dir := range made {
		err = errors.Join(err, folder.SyncDir(dir))
	}
	if len(made) > 0 {
		err = errors.Join(err, folder.SyncDir(filepath.Join(to, folder.BlobsDir)))
	}
	if damage := files.Damage(); err == nil && len(damage) > 0 {
		err = fmt.Errorf("the copy is damaged: %v", damage[0])
	}
	return done, err
}

// linkOrCopy makes a hard link or, where that cannot be, a copy on the disk.
func linkOrCopy(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close() // only read
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
