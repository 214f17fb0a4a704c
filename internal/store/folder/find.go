package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/recap/pumpkin/packet"
)

// Find opens a folder for a starting node: the first that nobody has and that
// holds packets, else the first that nobody has, else a new one. Folders that
// cannot be used are passed over when another can; report, unless nil, is
// called with the reason for each that an older version wrote, since nothing
// else ever looks at it.
func Find(data string, first Node, report func(error)) (*Folder, error) {
	if err := packet.CheckName("group's name", first.Group); err != nil {
		return nil, fmt.Errorf("look for a data folder: %w", err)
	}
	dirs, err := List(data, first.Group)
	if err != nil {
		return nil, err
	}
	// Those with packets first; the order is kept among equals.
	var order, without []string
	for _, dir := range dirs {
		if _, err := ReadNode(dir); errors.Is(err, ErrOlder) {
			if report != nil {
				report(err)
			}
			continue
		}
		if HoldsPackets(dir) {
			order = append(order, dir)
		} else {
			without = append(without, dir)
		}
	}
	for _, dir := range append(order, without...) {
		f, err := Open(dir, first)
		if err == nil {
			return f, nil
		}
		var used *InUseError
		if !errors.As(err, &used) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) && !errors.Is(err, ErrNotFolder) {
			return nil, err // the next would not be any better
		}
	}
	// Another node may be starting as well, and make the same.
	for n := 1; ; n++ {
		dir := filepath.Join(data, first.Group, strconv.Itoa(n))
		if slices.Contains(dirs, dir) {
			continue
		}
		f, err := Open(dir, first)
		var used *InUseError
		if errors.As(err, &used) || errors.Is(err, ErrNotFolder) && n <= len(dirs)+100 {
			continue
		}
		return f, err
	}
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
