package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/packet"
)

// Find opens a folder for a starting node: the first that nobody has and that
// holds packets, else the first that nobody has, else a new one. Those of another
// key or machine are not its own. Folders that
// cannot be used are passed over when another can; report, unless nil, is
// called with the reason for each that an older version wrote, since nothing
// else ever looks at it, with one line for those with packets that are not its own, and
// when it has to wait (see [Open]).
func Find(ctx context.Context, data string, first Node, report func(string)) (*Folder, error) {
	if report == nil {
		report = func(string) {}
	}
	if err := packet.CheckName("group's name", first.Group); err != nil {
		return nil, fmt.Errorf("look for a data folder: %w", err)
	}
	dirs, err := List(data, first.Group)
	if err != nil {
		return nil, err
	}
	// Those with packets first; the order is kept among equals.
	var order, without, others []string
	for _, dir := range dirs {
		node, err := ReadNode(dir)
		switch {
		case errors.Is(err, ErrOlder):
			report(err.Error())
		case err == nil && !node.Ours(&first):
			if HoldsPackets(dir) {
				others = append(others, dir)
			}
		case HoldsPackets(dir):
			order = append(order, dir)
		default:
			without = append(without, dir)
		}
	}
	if len(others) > 0 {
		report(notOurs(others, &first))
	}
	for _, dir := range append(order, without...) {
		f, err := Open(ctx, dir, first, report)
		if err == nil {
			return f, nil
		}
		var used *InUseError
		if !errors.As(err, &used) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) && !errors.Is(err, ErrNotFolder) && !errors.Is(err, ErrOther) {
			return nil, err // the next would not be any better
		}
	}
	// Another node may be starting as well, and make the same.
	for n := 1; ; n++ {
		dir := filepath.Join(data, first.Group, strconv.Itoa(n))
		if slices.Contains(dirs, dir) {
			continue
		}
		f, err := Open(ctx, dir, first, report)
		var used *InUseError
		if errors.As(err, &used) || errors.Is(err, ErrNotFolder) && n <= len(dirs)+100 {
			continue
		}
		return f, err
	}
}

// notOurs says what becomes of packets in folders that are not this node's.
func notOurs(dirs []string, first *Node) string {
	why := "another machine"
	if node, err := ReadNode(dirs[0]); err == nil {
		if mismatch := node.mismatch(dirs[0], first); mismatch != nil {
			return "packets may wait elsewhere: " + mismatch.Error() + more(dirs)
		}
		why += ", for its node " + node.Name
	}
	return fmt.Sprintf("packets may wait in the data folder %s of %s; if that machine is gone for good, a node with --data %s takes them%s", dirs[0], why, dirs[0], more(dirs))
}

// more counts the folders after the first.
func more(dirs []string) string {
	if len(dirs) == 1 {
		return ""
	}
	return fmt.Sprintf(" (and %s)", english.Plural(len(dirs)-1, "other folder", ""))
}

// List are the folders of a group, in the order of their numbers.
func List(data, group string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(data, group))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for data folders: %w; choose another place with --data DIR", access(err))
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 && e.IsDir() && strconv.Itoa(n) == e.Name() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	dirs := make([]string, len(numbers))
	for i, n := range numbers {
		dirs[i] = filepath.Join(data, group, strconv.Itoa(n))
	}
	return dirs, nil
}

// HoldsPackets tells whether there may be packets in the folder: its store has a
// file of frames that is not empty. Nothing is opened, so a store whose packets
// have all ended may have such files too.
func HoldsPackets(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, StoreDir))
	if err != nil {
		return false // what cannot be looked at has nothing for us
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		ext := filepath.Ext(e.Name())
		if ext != ".sst" && ext != ".log" {
			return false
		}
		info, err := e.Info()
		return err == nil && info.Size() > emptyFile
	})
}

// emptyFile is how large a log of the store is that nothing was written to: it has
// its end alone.
const emptyFile = 11
