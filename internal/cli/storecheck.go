package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

func (a *app) storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "store", Short: "Check or export a data folder, or back up that of a running node",
		Args: usage(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.storeCheckCommand(), a.storeExportCommand(), a.storeBackupCommand())
	return cmd
}

// folderFlags say which data folders are meant.
type folderFlags struct{ group string }

func (f *folderFlags) add(cmd *cobra.Command) {
	f.group = node.DefaultGroup
	cmd.Flags().Var((*nameFlag)(&f.group), "group", "use the data folders of this group, if no DIR is named")
}

// dirs are the data folders of the arguments, or those of the group.
func (f *folderFlags) dirs(args []string) ([]string, error) {
	if len(args) > 0 {
		for _, dir := range args {
			switch _, err := folder.ReadNode(dir); {
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, folder.ErrNotFolder):
				return nil, usageError{fmt.Errorf("%s is not a data folder of a node: it has no node.json; a node prints the name of its data folder when it starts, 'packets are stored in DIR'", dir)}
			case err != nil:
				return nil, err
			}
		}
		return args, nil
	}
	home, err := dataHome()
	if err != nil {
		return nil, err
	}
	dirs, err := folder.List(home, f.group)
	if err == nil && len(dirs) == 0 {
		err = usageError{fmt.Errorf("no node of the group %s has stored packets under %s; name the folder", f.group, home)}
	}
	return dirs, err
}

// alone does something to a data folder that nobody else has.
func alone(ctx context.Context, dir string, do func() error) error {
	own, err := folder.Open(ctx, dir, folder.Node{}, nil)
	var used *folder.InUseError
	if errors.As(err, &used) {
		return fmt.Errorf("%w; 'pmk store backup DIR' makes a copy while the node runs", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(do(), own.Close())
}

// A checkReport is what was found in one data folder.
type checkReport struct {
	Dir    string        `json:"dir"`
	Queues []queueReport `json:"queues"`
	// Records counts what tables hold.
	Records int            `json:"records"`
	Damage  []damageReport `json:"damage"`
}

type queueReport struct {
	Queue   store.Queue `json:"queue"`
	Frames  int         `json:"frames"`
	Packets int         `json:"packets"`
	Bytes   int64       `json:"bytes"`
}

// A damageReport is one thing that is damaged. What is not known of it is left out.
type damageReport struct {
	File  string      `json:"file,omitempty"`
	Queue store.Queue `json:"queue,omitempty"`
	// Frame is the number of the frame, or of the first that is concerned; Last
	// that of the last, where there are several.
	Frame uint64 `json:"frame,omitempty"`
	Last  uint64 `json:"last,omitempty"`
	What  string `json:"what"`
}

func (d *damageReport) String() string {
	return pebble.Damage{File: d.File, Queue: d.Queue, First: d.Frame, Last: d.Last, What: d.What}.String()
}

func (a *app) storeCheckCommand() *cobra.Command {
	var f folderFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [DIR...]",
		Short: "Read everything in a data folder and say what is damaged",
		Long: `check reads every file, frame (packets that are stored together), record and all
large data in the data folder of a node that is not running, and compares them with
their checksums and with the store's counts. It changes nothing, and exits with 1
if anything is damaged. 'pmk store export' saves what can be read.`,
		Example: "  pmk store check\n  pmk store check /var/lib/pumpkin/1 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			dirs, err := f.dirs(args)
			if err != nil {
				return err
			}
			reports, damaged := []checkReport{}, false
			for _, dir := range dirs {
				err := alone(cmd.Context(), dir, func() error {
					r, err := check(cmd.Context(), dir)
					reports, damaged = append(reports, r), damaged || len(r.Damage) > 0
					return err
				})
				if err != nil {
					return err
				}
			}
			if asJSON {
				err = printJSON(a.out, reports)
			} else {
				a.printChecks(reports)
			}
			if err == nil && damaged {
				err = errFindings
			}
			return err
		},
	}
	f.add(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// check reads a data folder.
func check(ctx context.Context, dir string) (checkReport, error) {
	r := checkReport{Dir: dir, Queues: []queueReport{}, Damage: []damageReport{}}
	blobs := blob.Open(blob.Config{Dir: filepath.Join(dir, folder.BlobsDir)})
	seen := map[packet.Sum]bool{}
	var large []damageReport
	found, err := pebble.Check(ctx, dir, func(f pebble.Found) error {
		_, ps, err := packet.ParseFrame(f.Data)
		if err == nil && len(ps) != f.Packets {
			err = fmt.Errorf("the frame has %s; the store counts %d", english.Plural(len(ps), "packet", ""), f.Packets)
		}
		for i := range ps {
			b := ps[i].Blob
			if b == nil || seen[b.Sum] {
				continue
			}
			seen[b.Sum] = true
			if !slices.Contains(f.Blobs, b.Sum) && err == nil {
				err = fmt.Errorf("the store does not know that packet %s names the large data %x", ps[i].ID, b.Sum[:8])
			}
			if err := checkBlob(blobs, *b); err != nil {
				large = append(large, damageReport{Queue: f.Queue, Frame: f.Number, What: fmt.Sprintf("packet %s in %s: %v", ps[i].ID, ps[i].State, err)})
			}
		}
		return err
	})
	for _, q := range found.Queues {
		r.Queues = append(r.Queues, queueReport{Queue: q.Queue, Frames: q.Frames, Packets: q.Packets, Bytes: q.Bytes})
	}
	r.Records = found.Records
	for _, d := range found.Damage {
		r.Damage = append(r.Damage, damageReport{File: d.File, Queue: d.Queue, Frame: d.First, Last: d.Last, What: d.What})
	}
	r.Damage = append(r.Damage, large...)
	aside, globErr := filepath.Glob(filepath.Join(dir, folder.DamagedDir, "*.frame"))
	for _, path := range aside {
		r.Damage = append(r.Damage, damageReport{File: path, What: "it was set aside by a node that could not read it"})
	}
	return r, errors.Join(err, globErr)
}

func checkBlob(blobs *blob.Store, b packet.Blob) error {
	file, err := blobs.Open(b)
	if err != nil {
		return err
	}
	defer file.Close() // only read
	_, err = io.Copy(io.Discard, packet.Verify(b, file))
	return err
}

func (a *app) printChecks(reports []checkReport) {
	for _, r := range reports {
		frames, bytes := 0, int64(0)
		for _, q := range r.Queues {
			frames, bytes = frames+q.Frames, bytes+q.Bytes
		}
		fmt.Fprintf(a.out, "%s: %s in %s, %s, %s\n", r.Dir, english.Plural(frames, "frame", ""), english.Plural(len(r.Queues), "queue", ""), bytesText(bytes), english.Plural(len(r.Damage), "damaged part", ""))
		for i := range r.Damage {
			fmt.Fprintln(a.out, "  "+r.Damage[i].String())
		}
		if len(r.Damage) > 0 {
			fmt.Fprintf(a.out, "  'pmk store export %s --to DIR' saves what can be read\n", r.Dir)
		}
	}
}

func (a *app) storeExportCommand() *cobra.Command {
	var f folderFlags
	var to string
	cmd := &cobra.Command{
		Use:   "export [DIR...] --to DIR",
		Short: "Write every packet that can be read into .pkt files",
		Long: `export writes every packet in the data folder of a node that is not running into a
.pkt file of its own, in a new or empty folder. The data folder is not changed. Any
node takes the files in with --rx; the packets keep their ids. Data above 50 MiB
goes into a file .data instead, and the rest of its packet into a file .json:
export prints the 'pmk send' command that sends that data as a new packet.`,
		Example: "  pmk store export --to saved\n  pmk --rx saved",
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return usageError{errors.New("name the folder to write to with --to DIR")}
			}
			dirs, err := f.dirs(args)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(to, 0o700); err != nil {
				return err
			}
			if entries, err := os.ReadDir(to); err != nil || len(entries) > 0 {
				return errors.Join(err, usageError{fmt.Errorf("%s is not empty: name a new folder", to)})
			}
			e := exporter{to: to, group: f.group}
			for _, dir := range dirs {
				if err := alone(cmd.Context(), dir, func() error { return e.export(cmd.Context(), dir) }); err != nil {
					return err
				}
			}
			fmt.Fprintf(a.err, "%s written to %s\n", english.Plural(e.packets, "packet", ""), to)
			if len(e.apart) > 0 {
				fmt.Fprintf(a.err, "%s too large for a .pkt file: data in .data, the rest in .json. As new packets they go in with\n", english.Plural(len(e.apart), "packet", ""))
			}
			for _, line := range e.apart {
				fmt.Fprintln(a.err, "  "+line)
			}
			for _, line := range e.damage {
				fmt.Fprintln(a.err, "not saved: "+line)
			}
			if len(e.damage) > 0 {
				return errFindings
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&to, "to", "", "the `DIR` to write to")
	return cmd
}

// An exporter writes packets into files.
type exporter struct {
	to, group string
	packets   int
	apart     []string // commands that take in what is in no .pkt file
	damage    []string
}

func (e *exporter) export(ctx context.Context, dir string) (err error) {
	blobs := blob.Open(blob.Config{Dir: filepath.Join(dir, folder.BlobsDir)})
	files, err := pebble.OpenFiles(dir)
	if err != nil {
		return err
	}
	err = files.Frames(ctx, func(f pebble.Found) error {
		if !f.Queue.Packets() {
			return nil
		}
		_, ps, err := packet.ParseFrame(f.Data)
		if err != nil {
			e.damage = append(e.damage, fmt.Sprintf("frame %d of %s: %v", f.Number, f.Queue, err))
			return nil
		}
		for i := range ps {
			if err := e.write(blobs, &ps[i]); err != nil {
				return err
			}
		}
		return nil
	})
	for _, d := range files.Damage() {
		e.damage = append(e.damage, d.String())
	}
	return errors.Join(err, files.Close())
}

// wholeData is the most large data, in bytes, that is written into a .pkt file.
// Whoever takes that in reads it as a whole, up to [packet.MaxFile].
const wholeData = packet.MaxFile / 2

func (e *exporter) write(blobs *blob.Store, p *packet.Packet) error {
	// A packet may be in several inboxes: each is a copy of its own.
	name := filepath.Join(e.to, fmt.Sprintf("%06d-%s", e.packets+1, p.ID))
	text, apart, err := e.file(blobs, *p)
	if err == nil && apart {
		err = copyBlob(blobs, *p.Blob, name+".data")
	}
	if err != nil {
		e.damage = append(e.damage, fmt.Sprintf("packet %s in %s: %v", p.ID, p.State, err))
		return nil
	}
	e.packets++
	end := ".pkt"
	if apart {
		end = ".json" // without its data it is not to be taken in
		e.apart = append(e.apart, fmt.Sprintf("pmk send %s --file %s", p.State, name+".data"))
	}
	return os.WriteFile(name+end, append(text, '\n'), 0o600)
}

// file is the packet in the form of a .pkt file; apart says that its large data
// is too large to be in there.
func (e *exporter) file(blobs *blob.Store, p packet.Packet) (text []byte, apart bool, err error) {
	b := p.Blob
	p.Blob = nil
	if b != nil && b.Size <= wholeData {
		if p.Data, err = readBlob(blobs, *b); err != nil {
			return nil, false, err
		}
		text, err = json.Marshal(packet.File{Packet: p, Group: e.group})
		if err != nil || len(text) < packet.MaxFile {
			return text, false, err
		}
		p.Data = "" // control characters take six bytes each
	}
	text, err = json.Marshal(packet.File{Packet: p, Group: e.group})
	return text, b != nil, err
}

// copyBlob writes large data into a new file, which is gone again if the data is
// damaged.
func copyBlob(blobs *blob.Store, b packet.Blob, path string) error {
	from, err := blobs.Open(b)
	if err != nil {
		return err
	}
	defer from.Close() // only read
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, packet.Verify(b, from))
	if err = errors.Join(err, to.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func readBlob(blobs *blob.Store, b packet.Blob) (string, error) {
	file, err := blobs.Open(b)
	if err != nil {
		return "", err
	}
	defer file.Close() // only read
	data, err := io.ReadAll(packet.Verify(b, file))
	return string(data), err
}
