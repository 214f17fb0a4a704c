package cli

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/recap/pumpkin/internal/inject"
	"github.com/recap/pumpkin/internal/node"
)

// fileFlags say of which folders the files become packets.
type fileFlags struct {
	rx    []string
	watch []string
	quiet time.Duration
}

func (f *fileFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.rx, "rx", nil, "take packets from the files of this folder and its sub-folders, `DIR` or DIR=Type:STATE; may be repeated")
	flags.StringArrayVar(&f.watch, "watch", nil, "like --rx `DIR=Type:STATE`, but leave the files where they are and remember them; one that changes is taken again; may be repeated")
	flags.DurationVar(&f.quiet, "rx-quiet", 2*time.Second, "how long a file must not have changed before it is taken; 0 where files are renamed into the folder once they are complete")
}

// check refuses what the flags cannot mean.
func (f *fileFlags) check() error {
	if _, err := f.folders(); err != nil {
		return err
	}
	if f.quiet < 0 {
		return fmt.Errorf("--rx-quiet %v: expected 0s or more", f.quiet)
	}
	return nil
}

// A fileFolder is one whose files become packets.
type fileFolder struct {
	inject.Config
	stay bool // the files do
}

// folders are those that the flags name. None of them looks into another.
func (f *fileFlags) folders() (list []fileFolder, err error) {
	var dirs []string
	add := func(flag, arg string, stay bool) error {
		dir, state, err := inject.ParseArgument(arg)
		if err == nil && stay && state == "" {
			err = fmt.Errorf("%q has no state: expected DIR=Type:STATE", arg)
		}
		if err == nil {
			dir, err = filepath.Abs(dir)
		}
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", flag, err)
		case slices.Contains(dirs, dir):
			return fmt.Errorf("%s %s: the folder is named twice, and a file is one packet", flag, arg)
		}
		dirs = append(dirs, dir)
		list = append(list, fileFolder{inject.Config{Dir: dir, State: state}, stay})
		return nil
	}
	for _, arg := range f.rx {
		if err := add("--rx", arg, false); err != nil {
			return nil, err
		}
	}
	for _, arg := range f.watch {
		if err := add("--watch", arg, true); err != nil {
			return nil, err
		}
	}
	for i := range list {
		list[i].Apart = dirs
	}
	return list, nil
}

// open makes the folders ready, and has the node show them.
func (f *fileFlags) open(n *node.Node, own opened, log *slog.Logger) (folders []*inject.Folder, err error) {
	list, err := f.folders()
	if err != nil { // a folder that was there has gone
		return nil, usageError{err}
	}
	if len(f.watch) > 0 && own.dir == "" && own.cluster == nil {
		log.Warn("the store is in memory: what was taken from a watched folder is remembered until the node ends, and is taken again at the next start")
	}
	for _, cfg := range list {
		if own.dir != "" {
			data, err := filepath.Abs(own.dir)
			if err != nil {
				return nil, fmt.Errorf("the data folder: %w", err)
			}
			cfg.Apart = append(slices.Clone(cfg.Apart), data)
		}
		cfg.Group, cfg.InMemory, cfg.Quiet, cfg.Log = n.Group(), n.MaxData(), f.quiet, log
		if f.quiet == 0 {
			cfg.Quiet = -1 // 0 is the default there
		}
		if cfg.stay {
			cfg.Memory = own.store
		}
		if own.cluster != nil { // which nodes of other machines share
			if cfg.Owner, err = os.Hostname(); err != nil {
				return nil, fmt.Errorf("this machine's name, under which files are remembered in the cluster: %w", err)
			}
		}
		folder, err := inject.New(cfg.Config, intake{n, &utf16Watch{log: cfg.Log}})
		if err != nil {
			return nil, err
		}
		folders = append(folders, folder)
	}
	n.ShowFolders(func() []node.Folder {
		var out []node.Folder
		for _, f := range folders {
			c := f.Counts()
			out = append(out, node.Folder{Dir: f.Dir(), Taken: c.Taken, Refused: c.Refused, Left: c.Left, Changing: c.Changing})
		}
		return out
	})
	return folders, nil
}
