package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/backup"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/internal/web"
)

// A backupFunc copies what a node has stored into a folder.
type backupFunc func(ctx context.Context, dir string, report func(api.BackupState)) (api.BackupState, error)

// backupOf copies a data folder that this process has.
func backupOf(own *folder.Folder, s *pebble.Store, blobs *blob.Store) backupFunc {
	return func(ctx context.Context, dir string, report func(api.BackupState)) (api.BackupState, error) {
		state := func(p backup.Progress) api.BackupState {
			return api.BackupState{Large: p.Large, Of: p.Of, Missing: p.Missing}
		}
		cfg := backup.Config{From: own, Store: s, Blobs: blobs, Name: newNodeName()}
		done, err := backup.Run(ctx, cfg, dir, func(p backup.Progress) { report(state(p)) })
		return state(done), err
	}
}

// noBackup says why there is none.
func noBackup(why string) backupFunc {
	return func(context.Context, string, func(api.BackupState)) (api.BackupState, error) {
		return api.BackupState{}, fmt.Errorf("%w: %s", web.ErrNoBackup, why)
	}
}

// A backupReport is what a backup has made.
type backupReport struct {
	Node    string `json:"node"`
	Dir     string `json:"dir"`
	Large   int    `json:"large"`
	Missing int    `json:"missing"`
}

func (a *app) storeBackupCommand() *cobra.Command {
	var f nodeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy what a running node has stored into a new data folder",
		Long: `backup tells a running node to copy everything that it has stored, with its large
data, into a folder on its machine that does not exist or is empty. The node goes on
running seeds meanwhile: the backup has each packet that was stored when it began,
unless the packet ended during the backup. Files that no longer change become hard
links where DIR is on the same file system. 'pmk --data DIR' starts a node from the
copy, in the same group and with a name of its own.`,
		Example: "  pmk store backup /backup/monday\n  pmk --data /backup/monday seeds/",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			client, name, err := f.client(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			done, err := client.Backup(cmd.Context(), dir, func(s api.BackupState) {
				if !asJSON && s.Of > 0 {
					fmt.Fprintf(a.err, "copying: %d of %s of large data\n", s.Large, english.Plural(s.Of, "piece", ""))
				}
			})
			if err != nil {
				return fmt.Errorf("back up node %s: %w", name, err)
			}
			if asJSON {
				err = printJSON(a.out, backupReport{Node: name, Dir: dir, Large: done.Large, Missing: done.Missing})
			} else {
				fmt.Fprintf(a.err, "node %s is backed up in %s, with %s of large data\n", name, dir, english.Plural(done.Large, "piece", ""))
			}
			if err == nil && done.Missing > 0 {
				fmt.Fprintf(a.err, "%s of large data missing in the node's data folder: 'pmk store check' says which packets name it\n", english.Plural(done.Missing, "piece", ""))
				err = errFindings
			}
			return err
		},
	}
	f.add(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}
