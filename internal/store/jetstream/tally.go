package jetstream

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/folder"
)

// A tally counts how often each frame was handed out that has not ended, over
// all processes that had the store. It is one file that is only appended to, and
// not synced: it is there after a kill, and after a power cut a frame may count
// as new.
//
// Its lines are
//
//	crc32 + count number place    handed out so often
//	crc32 - 0 number place        ended, or the first that was stored
//	crc32 ! 0 0 place             the place was cleared: its numbers begin anew
//
// It is guarded by the store's lock.
type tally struct {
	path  string // "" for a store in memory
	file  *os.File
	size  int
	count map[key]int
	// highest is the highest number that was handed out of each place, or the first
	// that was stored: the blocks must reach as far.
	highest map[store.Place]uint64
}

// tallyFile is the file's name in the data folder.
const tallyFile = "leases"

// tallySize is how large the file may be, in bytes, before it is written anew
// when it has fewer than half as many lines to tell.
const tallySize = 1 << 20

// openTally reads the tally of a data folder. Lines that are broken are
// forgotten; it says how many.
func openTally(path string) (t *tally, broken int, err error) {
	t = &tally{path: path, count: map[key]int{}, highest: map[store.Place]uint64{}}
	if path == "" {
		return t, 0, nil
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("read how often frames were leased: %w", err)
	}
	for line := range bytes.Lines(data) {
		whole, ok := bytes.CutSuffix(line, []byte("\n"))
		if !ok {
			break // a write was under way when the process was killed
		}
		if !t.read(string(whole)) {
			broken++
		}
	}
	return t, broken, nil
}

// read takes one line.
func (t *tally) read(line string) bool {
	sum, rest, _ := strings.Cut(line, " ")
	if sum != lineSum(rest) {
		return false
	}
	var what string
	var n int
	var k key
	if _, err := fmt.Sscan(rest, &what, &n, &k.number, (*string)(&k.at)); err != nil {
		return false
	}
	switch what {
	case "+":
		t.count[k] = n
		t.highest[k.at] = max(t.highest[k.at], k.number)
	case "-":
		delete(t.count, k)
		t.highest[k.at] = max(t.highest[k.at], k.number)
	case "!":
		t.drop(k.at, 0)
	}
	return true
}

func lineSum(rest string) string {
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(rest))), 16)
}

func tallyLine(what string, n int, k key) string {
	rest := fmt.Sprintf("%s %d %d %s", what, n, k.number, k.at)
	return lineSum(rest) + " " + rest + "\n"
}

// drop forgets the frames of a place above that number.
func (t *tally) drop(at store.Place, above uint64) {
	for k := range t.count {
		if k.at == at && k.number > above {
			delete(t.count, k)
		}
	}
	if t.highest[at] = min(t.highest[at], above); above == 0 {
		delete(t.highest, at)
	}
}

// rewrite writes only what is to be told. Where there is no room for that, it goes on
// with the file as it is: that tells the same, at more length.
func (t *tally) rewrite() error {
	if t.path == "" {
		return nil
	}
	var text strings.Builder
	for at, number := range t.highest {
		text.WriteString(tallyLine("-", 0, key{at, number}))
	}
	for k, n := range t.count {
		text.WriteString(tallyLine("+", n, k))
	}
	size := text.Len()
	wrote := folder.WriteFile(t.path, []byte(text.String()))
	if wrote != nil {
		size = 0 // not again with the next line
	}
	file, err := os.OpenFile(t.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("write how often frames were leased: %w", errors.Join(wrote, err))
	}
	_ = t.close() // the file that is open now tells what it held
	t.file, t.size = file, size
	return nil
}

// note appends a line. A disk that does not take it costs a count, at most:
// the store says elsewhere that the disk is full.
func (t *tally) note(what string, n int, k key) {
	if t.file == nil {
		return
	}
	line := tallyLine(what, n, k)
	wrote, _ := t.file.WriteString(line)
	if 0 < wrote && wrote < len(line) { // or the next line would be broken, too
		if end, err := t.file.Seek(0, io.SeekEnd); err == nil && t.file.Truncate(end-int64(wrote)) == nil {
			wrote = 0
		}
	}
	if t.size += wrote; t.size > tallySize && t.size > 2*len(line)*(len(t.count)+len(t.highest)) {
		_ = t.rewrite()
	}
}

// lease counts that a frame is handed out and tells how often it was.
func (t *tally) lease(k key) int {
	n := t.count[k] + 1
	t.count[k] = n
	t.highest[k.at] = max(t.highest[k.at], k.number)
	t.note("+", n, k)
	return n
}

// end forgets a frame.
func (t *tally) end(k key) {
	if _, known := t.count[k]; known {
		delete(t.count, k)
		t.note("-", 0, k)
	}
}

// stored notes that a frame is in a place, if it is the first that is known of.
func (t *tally) stored(k key) {
	if t.highest[k.at] == 0 {
		t.highest[k.at] = k.number
		t.note("-", 0, k)
	}
}

// never tells whether no frame is known that was in the place, ever. A nil tally does
// not know.
func (t *tally) never(at store.Place) bool { return t != nil && t.highest[at] == 0 }

// ended tells whether the frames of a place were handed out up to that number, which
// is not 0, and have all ended. A nil tally does not know.
func (t *tally) ended(at store.Place, number uint64) bool {
	if t == nil || number == 0 || t.highest[at] < number {
		return false
	}
	for k := range t.count {
		if k.at == at {
			return false
		}
	}
	return true
}

// clear forgets a place.
func (t *tally) clear(at store.Place) {
	t.drop(at, 0)
	t.note("!", 0, key{at: at})
}

func (t *tally) close() error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file = nil
	return err
}
