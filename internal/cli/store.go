package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/spf13/pflag"

	"github.com/recap/pumpkin/internal/adopt"
	"github.com/recap/pumpkin/internal/hold"
	"github.com/recap/pumpkin/internal/netfs"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/disk"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
)

// memorySize bounds what is in a store in memory, in bytes, unless
// --store-size says otherwise.
const memorySize = 256 << 20

// storeFlags say where packets are stored.
type storeFlags struct {
	durability node.Durability
	data       string
	size       sizeFlag
	maxPacket  sizeFlag
	cluster    clusterFlags
}

func (f *storeFlags) defaults() {
	f.durability = node.Disk
	f.maxPacket = 1 << 30
}

func (f *storeFlags) add(flags *pflag.FlagSet) {
	f.defaults()
	flags.Var(&f.durability, "durability", "what packets survive: a power cut (disk), the crash of a seed (memory), or neither (none)")
	flags.Var((*dirFlag)(&f.data), "data", "store packets in this `DIR`, which no other node uses (default: a folder of the group under "+dataHint+")")
	flags.Var(&f.size, "store-size", "how full the store may get before packets from outside wait (default: a tenth of the free disk, or 256 MiB of memory)")
	flags.Var(&f.maxPacket, "max-packet", "the most data of one packet in memory, and of an output; files and streams may have as much as the store takes")
	f.cluster.add(flags)
}

const dataHint = "~/.local/share/pumpkin"

func (f *storeFlags) check() error {
	if f.data != "" && f.durability != node.Disk {
		return fmt.Errorf("--data %s has no meaning with --durability %s: leave one of them out", f.data, f.durability)
	}
	return f.cluster.check(f.data, f.durability)
}

// open opens the store that the flags ask for. key is the fingerprint of the network's key.
func (f *storeFlags) open(ctx context.Context, group, key string, log *slog.Logger) (opened, error) {
	if f.cluster.asked() {
		return f.cluster.open(ctx, group, int64(f.size), log)
	}
	if f.durability == node.Disk {
		return f.openDisk(ctx, group, key, log)
	}
	size := int64(f.size)
	if size == 0 {
		size = memorySize
	}
	blobs := blob.Open(blob.Config{})
	s := pebble.InMemory(pebble.Config{Size: size, Beside: blobs.Used, Log: log})
	return opened{
		store: s, blobs: blobs, node: newNodeName(),
		backup: noBackup(fmt.Sprintf("with --durability %s packets are only in memory", f.durability)),
		close:  func() error { return errors.Join(s.Close(), blobs.Close()) },
	}, nil
}

// openDisk opens the data folder that is named, or the one that a node of the
// group takes.
func (f *storeFlags) openDisk(ctx context.Context, group, key string, log *slog.Logger) (opened, error) {
	first := folder.Node{Name: newNodeName(), Group: group, Key: key, Machine: hold.Machine(), StoreSize: int64(f.size)}
	own, err := f.folder(ctx, first, log)
	if err != nil {
		return opened{}, err
	}
	if warning := folder.Exposed(own.Dir); warning != "" {
		log.Warn(warning)
	}
	if kind := netfs.Kind(own.Dir); kind != "" {
		log.Warn(fmt.Sprintf("the data folder %s is on a network file system (%s), whose locks and fsync are not reliable: keep it on a local disk with --data DIR", own.Dir, kind))
	}
	size := own.Node.StoreSize
	if f.size != 0 {
		size = int64(f.size)
	}
	at := disk.New(disk.Config{Dir: own.Dir, Log: log})
	blobs := blob.Open(blob.Config{Dir: filepath.Join(own.Dir, folder.BlobsDir), Sync: true, Disk: at})
	s, err := pebble.Open(ctx, pebble.Config{Dir: own.Dir, Size: size, Beside: blobs.Used, Disk: at, Log: log})
	if errors.Is(err, pebble.ErrDamaged) {
		log.Error(fmt.Sprintf("the node does not start: %v: 'pmk store check %s' says what is damaged, and 'pmk store export %s --to DIR' saves what can be read", err, own.Dir, own.Dir))
		err = errStore
	}
	if err != nil {
		return opened{}, errors.Join(err, own.Close())
	}
	watched, err := newGuard(ctx, s, own.Moved, log)
	if err != nil {
		return opened{}, errors.Join(err, s.Close(), blobs.Close(), own.Close())
	}
	unfence := fenceWhen(own.Lost(), at)
	adopted := new(atomic.Bool)
	var take func(context.Context, func())
	if f.data == "" {
		take = func(ctx context.Context, arrived func()) {
			damaged := adopt.Run(ctx, adopt.Config{Data: filepath.Dir(filepath.Dir(own.Dir)), Own: own, Store: s, Blobs: blobs, Arrived: arrived, Log: log})
			adopted.Store(damaged)
		}
	}
	return opened{
		backup: backupOf(own, s, blobs), lost: own.Lost(),
		adopt: take, adopted: adopted, dir: own.Dir,
		store: watched, guard: watched, data: own.Node.ID(), blobs: blobs, node: own.Node.Name, note: "packets are stored in " + own.Dir,
		setAside: func(at store.Queue, number uint64, data []byte) error {
			dir := filepath.Join(own.Dir, folder.DamagedDir)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			return folder.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.frame", at, number)), data)
		},
		close: func() error {
			err := errors.Join(s.Close(), blobs.Close())
			unfence()
			return errors.Join(err, own.Close())
		},
	}, nil
}

// fenceWhen has nothing written to the disk any more once the folder on it is lost, until it
// is ended.
func fenceWhen(lost <-chan struct{}, at *disk.Disk) (end func()) {
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-lost:
			at.Fence(folder.ErrTaken)
		case <-over:
		}
	})
	return func() {
		close(over)
		watching.Wait()
	}
}

func (f *storeFlags) folder(ctx context.Context, first folder.Node, log *slog.Logger) (*folder.Folder, error) {
	report := func(why string) { log.Warn(why) }
	if f.data != "" {
		return folder.Open(ctx, f.data, first, report)
	}
	data, err := dataHome()
	if err != nil {
		return nil, err
	}
	return folder.Find(ctx, data, first, report)
}

// dataHome is the folder that holds the data folders of this user's nodes.
func dataHome() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pumpkin"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("where to keep packets: %w; choose a folder with --data DIR, or keep them in memory with --durability memory", err)
	}
	return filepath.Join(home, ".local", "share", "pumpkin"), nil
}
