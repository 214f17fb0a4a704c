package cli

import (
	"fmt"
	"log/slog"
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
	quiet time.Duration
}

func (f *fileFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.rx, "rx", nil, "take packets from the files of this folder and its sub-folders, `DIR` or DIR=Type:STATE; may be repeated")
	flags.DurationVar(&f.quiet, "rx-quiet", 2*time.Second, "how long a file must not have changed before it is taken; 0 where files are renamed into the folder once they are complete")
}

// check refuses what the flags cannot mean.
func (f *fileFlags) check() error {
	if _, err := f.configs(); err != nil {
		return err
	}
	if f.quiet < 0 {
		return fmt.Errorf("--rx-quiet %v: expected 0s or more", f.quiet)
	}
	return nil
}

// configs are the folders, of which none looks into another.
func (f *fileFlags) configs() (cfgs []inject.Config, err error) {
	var dirs []string
	named := map[string]bool{}
	for _, arg := range f.rx {
		cfg := inject.Config{}
		cfg.Dir, cfg.State, err = inject.ParseArgument(arg)
		if err == nil {
			cfg.Dir, err = filepath.Abs(cfg.Dir)
		}
		if err != nil {
			return nil, fmt.Errorf("--rx: %w", err)
		}
		if named[cfg.Dir] {
			return nil, fmt.Errorf("--rx %s: the folder is named twice, and a file is one packet", arg)
		}
		named[cfg.Dir] = true
		cfgs, dirs = append(cfgs, cfg), append(dirs, cfg.Dir)
	}
	for i := range cfgs {
		cfgs[i].Apart = dirs
	}
	return cfgs, nil
}

// open makes the folders ready, and has the node show them.
func (f *fileFlags) open(n *node.Node, own opened, log *slog.Logger) (folders []*inject.Folder, err error) {
	cfgs, err := f.configs()
	if err != nil { // a folder that was there has gone
		return nil, usageError{err}
	}
	for _, cfg := range cfgs {
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
		folder, err := inject.New(cfg, intake{n})
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

// intake has a node take files.
type intake struct{ *node.Node }

func (n intake) Batch() inject.Batch { return n.Node.Intake() }
