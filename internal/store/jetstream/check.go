package jetstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/layout"
)

// A Report is what [Check] found in the folder of a store.
type Report struct {
	Streams []StreamReport
}

// A StreamReport is what was found of one place.
type StreamReport struct {
	Place store.Place
	Dir   string
	// Whole counts the records that can be read, those of frames that are
	// gone included; Frames those that rest there.
	Whole, Frames int
	Bytes         int64 // read
	Damage        []Damage
}

// Damage is one thing that is broken.
type Damage struct {
	File   string
	Offset int64
	Length int64
	Number uint64 // of the frame it seems to concern; 0 if it is not known
	What   string
	// Torn is the end of the last block, where an append was under way when the
	// node or the machine stopped; unless somebody cut the file, nothing that
	// was promised is lost.
	Torn bool
}

func (d Damage) String() string {
	frame := ""
	if d.Number > 0 {
		frame = fmt.Sprintf(" (frame %d)", d.Number)
	}
	return fmt.Sprintf("%s at byte %d%s: %s", d.File, d.Offset, frame, d.What)
}

// Damaged counts what is broken in all places.
func (r Report) Damaged() int {
	n := 0
	for _, s := range r.Streams {
		n += len(s.Damage)
	}
	return n
}

// A Stored is one frame that can be read.
type Stored struct {
	Place   store.Place
	Number  uint64
	Packets int
	Since   time.Time
	Data    []byte // belongs to the caller
}

// Check reads all that a store keeps in the data folder, without a server. It
// changes nothing, and should not be used while a node has the folder. verify
// is asked about each frame that the server's checksum is right for; nil asks
// nobody.
func Check(dir string, verify func(frame []byte) error) (Report, error) {
	var report Report
	t, _, err := openTally(filepath.Join(dir, tallyFile))
	if err != nil {
		return report, err
	}
	err = readStreams(dir, t, func(st *streamFiles) error {
		r := st.report
		if verify != nil {
			err := st.each(func(f frameRecord) error {
				if err := verify(f.data); err != nil {
					r.Damage = append(r.Damage, Damage{File: f.file, Offset: int64(f.offset), Length: int64(f.length), Number: f.number, What: "the frame: " + err.Error()})
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		report.Streams = append(report.Streams, r)
		return nil
	})
	return report, err
}

// Frames calls visit with every frame that can be read, place by place, oldest
// first, until it returns an error. A frame that was acknowledged just before
// a crash may be among them.
func Frames(dir string, visit func(Stored) error) error {
	return readStreams(dir, nil, func(st *streamFiles) error {
		return st.each(func(f frameRecord) error {
			return visit(Stored{Place: st.report.Place, Number: f.number, Packets: layout.PacketsIn(f.subject), Since: f.since, Data: slices.Clone(f.data)})
		})
	})
}

// streamsDir is where the server keeps the streams of its only account.
func streamsDir(dir string) string {
	return filepath.Join(dir, serverDir, "jetstream", "$G", "streams")
}

// streamFiles are the files of one stream, without what is in them: a stream
// may be larger than the memory, and so may a list of its frames.
type streamFiles struct {
	report StreamReport
	blocks []*blockFile
	gone   map[uint64]bool // by tombstones and erasures
	last   uint64          // the highest number of all records
	unmade bool            // the node stopped while the stream was made: it has nothing
}

type blockFile struct {
	path   string
	index  int
	frames []span // the numbers of its frames, also of those that are gone
	flaws  []flaw
	// whole are its records, with their data only as long as the block is read;
	// of a block without flaws, they are forgotten then.
	whole []record
	data  []byte
}

// A span is numbers one after the other, both ends included.
type span struct{ first, last uint64 }

// add puts a number into the last span of the block, or a new one.
func (b *blockFile) add(number uint64) {
	if n := len(b.frames); n > 0 && b.frames[n-1].last+1 == number {
		b.frames[n-1].last = number
		return
	}
	b.frames = append(b.frames, span{number, number})
}

// has tells whether the block has a frame of that number, which may be gone. A
// block's frames are in the order of their numbers.
func (b *blockFile) has(number uint64) bool {
	i := sort.Search(len(b.frames), func(i int) bool { return b.frames[i].last >= number })
	return i < len(b.frames) && b.frames[i].first <= number
}

// A frameRecord is a frame's record and the file that has it.
type frameRecord struct {
	record
	file string
}

// has tells whether a frame of that number rests in the stream.
func (s *streamFiles) has(number uint64) bool {
	return !s.gone[number] && s.lies(number)
}

// lies tells whether a block has a frame of that number, which may be gone.
func (s *streamFiles) lies(number uint64) bool {
	return slices.ContainsFunc(s.blocks, func(b *blockFile) bool { return b.has(number) })
}

// count is how many frames rest in the stream.
func (s *streamFiles) count() int {
	n := 0
	for _, b := range s.blocks {
		for _, f := range b.frames {
			n += int(f.last - f.first + 1) //nolint:gosec // each stands for a record that was read
		}
	}
	for number := range s.gone {
		if s.lies(number) {
			n--
		}
	}
	return n
}

// each reads the blocks again, and calls visit with every frame that rests in
// them.
func (s *streamFiles) each(visit func(frameRecord) error) error {
	var room []byte
	for _, known := range s.blocks {
		b, err := readBlockFile(s.report.Dir, s.report.Place, known.index, room)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		room = b.data
		for _, r := range b.whole {
			if r.erased || r.tombstone || s.gone[r.number] {
				continue
			}
			if err := visit(frameRecord{r, b.path}); err != nil {
				return err
			}
		}
	}
	return nil
}

// readStreams reads one stream after the other, with the tally of the folder or
// nil. A store without any is empty.
func readStreams(dir string, t *tally, visit func(*streamFiles) error) error {
	entries, err := os.ReadDir(streamsDir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	for _, e := range entries {
		at, ok := layout.PlaceOf(e.Name())
		if !ok || !e.IsDir() {
			continue
		}
		st, err := readStream(filepath.Join(streamsDir(dir), e.Name()), at, t)
		if err == nil {
			err = visit(st)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readStream reads all blocks of a stream. What the server had under way when it was
// killed is no damage, and whether it had, the tally tells: it makes the first block of
// a stream before its description, and once the last frame of the last block has ended,
// it makes the next, writes into it up to where the numbers went, and removes the one
// before.
func readStream(dir string, at store.Place, t *tally) (*streamFiles, error) {
	st := &streamFiles{report: StreamReport{Place: at, Dir: dir}, gone: map[uint64]bool{}}
	r := &st.report
	indexes, err := blockIndexes(filepath.Join(dir, "msgs"))
	if err != nil {
		return nil, err
	}
	var room []byte
	for i, index := range indexes {
		b, err := readBlockFile(dir, at, index, room)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its frames went meanwhile
		}
		if err != nil {
			return nil, err
		}
		r.Bytes += int64(len(b.data))
		r.Whole += len(b.whole)
		if last := i == len(indexes)-1; len(b.data) == 0 && !(last && (t.ended(at, st.last) || st.last == 0 && t.never(at))) {
			r.Damage = append(r.Damage, Damage{File: b.path, Torn: last, What: "the file is empty: the node stopped when it had just made it, or the file was cut"})
		}
		for _, f := range b.flaws {
			d := Damage{File: b.path, Offset: int64(f.offset), Length: int64(f.length), Number: f.number, What: f.what}
			if i == len(indexes)-1 && f.what == cutOff && f.offset+f.length == len(b.data) {
				d.Torn, d.What = true, d.What+"; an append was under way when the node stopped, or the file was cut"
			}
			r.Damage = append(r.Damage, d)
		}
		for _, rec := range b.whole {
			st.last = max(st.last, rec.number)
			if rec.tombstone || rec.erased {
				st.gone[rec.number] = true
			} else {
				b.add(rec.number)
			}
		}
		for i := range b.whole {
			b.whole[i].data = nil
		}
		if len(b.flaws) == 0 {
			b.whole = nil
		}
		room, b.data = b.data, nil
		st.blocks = append(st.blocks, b)
	}
	// The server writes its index at its end, and now and then: what the index
	// knows of must have been there.
	had, known, ok := indexed(dir, layout.StreamName(at))
	if ok && known > st.last && had == 0 {
		st.last = known // the last frame has gone, and its block with it
	}
	if ok && known > st.last {
		r.Damage = append(r.Damage, Damage{
			File: filepath.Join(dir, "msgs"), Number: st.last + 1,
			What: fmt.Sprintf("the blocks end at frame %d, and there were frames up to %d", st.last, known),
		})
		st.last = known
	}
	if what := checkMeta(dir, layout.StreamName(at)); what != "" {
		if st.unmade = st.last == 0 && len(r.Damage) == 0 && t.never(at); !st.unmade {
			r.Damage = slices.Insert(r.Damage, 0, Damage{File: filepath.Join(dir, "meta.inf"), What: what})
		}
	}
	r.Frames = st.count()
	return st, nil
}

// readBlockFile reads a block of a stream, into room if that is large enough.
func readBlockFile(dir string, at store.Place, index int, room []byte) (*blockFile, error) {
	b := &blockFile{path: filepath.Join(dir, "msgs", strconv.Itoa(index)+".blk"), index: index}
	file, err := os.Open(b.path)
	if err != nil {
		return nil, fmt.Errorf("read a block: %w", err)
	}
	defer file.Close()
	into := bytes.NewBuffer(room[:0])
	if info, err := file.Stat(); err == nil {
		into.Grow(int(info.Size()) + bytes.MinRead) // it is not made larger while it is filled
	}
	if _, err := into.ReadFrom(file); err != nil {
		return nil, fmt.Errorf("read a block: %w", err)
	}
	b.data = into.Bytes()
	b.whole, b.flaws = readBlock(blockHash(layout.StreamName(at), index), at, b.data)
	return b, nil
}

// blockIndexes are the numbers of the blocks in a folder, in order.
func blockIndexes(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the blocks: %w", err)
	}
	var all []int
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".blk")
		if n, err := strconv.Atoi(name); ok && err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// checkMeta says what is wrong with the description of a stream.
func checkMeta(dir, stream string) string {
	meta, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
	if err != nil {
		return "the stream's description cannot be read: " + err.Error()
	}
	sum, err := os.ReadFile(filepath.Join(dir, "meta.sum"))
	if err != nil {
		return "the checksum of the stream's description cannot be read: " + err.Error()
	}
	h := keyedHash(stream)
	h.Write(meta)
	if string(sum) != fmt.Sprintf("%x", h.Sum(nil)) {
		return "the stream's description does not have its checksum"
	}
	return ""
}

// indexed is how many messages the stream's index knows of, and the highest
// number.
func indexed(dir, stream string) (messages, last uint64, ok bool) {
	data, err := os.ReadFile(filepath.Join(dir, "msgs", "index.db"))
	if err != nil || len(data) < recordHash+2 {
		return 0, 0, false
	}
	body, sum := data[:len(data)-recordHash], data[len(data)-recordHash:]
	h := keyedHash(stream)
	h.Write(body)
	if string(sum) != string(h.Sum(nil)) {
		return 0, 0, false // the server makes a new one
	}
	rest := body[2:]
	var values [5]uint64 // messages, bytes, first, time of the first, last
	for i := range values {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return 0, 0, false
		}
		values[i], rest = v, rest[n:]
	}
	return values[0], values[4], true
}
