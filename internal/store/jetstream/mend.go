package jetstream

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/layout"
)

// The server cuts a block off at the first record that is not whole, and
// leaves a stream out whose description is broken, without more than a line
// in its log. So the store looks before the server does: what is whole is
// kept, the broken file is set aside, and the damage is told. It looks at all
// of it, however large: a server that comes upon a broken record while it runs
// may drop the rest of its block before anyone can tell.

// damagedDir is where broken files are set aside, in the data folder.
const damagedDir = "damaged"

// restored is at the end of the name of a folder there whose frames are stored
// again.
const restored = ".stored-again"

// A loss is a stream whose description was broken. Its frames are appended
// again once the server runs.
type loss struct {
	st *streamFiles
}

// mend checks every stream before the server has them.
func (s *Store) mend() ([]loss, error) {
	t, broken, err := openTally(filepath.Join(s.cfg.Dir, tallyFile))
	if err != nil {
		return nil, err
	}
	s.tally = t
	if broken > 0 {
		s.tell(fmt.Sprintf("%s: %d lines cannot be read; how often those frames were leased is forgotten", t.path, broken))
	}
	err = readStreams(s.cfg.Dir, t, func(st *streamFiles) error {
		if st.unmade {
			if err := os.RemoveAll(st.report.Dir); err != nil {
				return fmt.Errorf("remove a stream that was not made to its end: %w", err)
			}
			return nil
		}
		aside := ""
		for _, d := range st.report.Damage {
			s.tell(d.String())
			if d.Torn {
				continue // the server cuts it off, and loses nothing by it
			}
			aside = filepath.Join(s.cfg.Dir, damagedDir, time.Now().UTC().Format("20060102-150405.000")+"-"+filepath.Base(st.report.Dir))
		}
		if aside == "" {
			return s.mendLeases(st)
		}
		if err := os.MkdirAll(aside, 0o700); err != nil {
			return fmt.Errorf("set broken files of the store aside: %w", err)
		}
		if checkMeta(st.report.Dir, layout.StreamName(st.report.Place)) != "" {
			if err := os.Rename(st.report.Dir, filepath.Join(aside, filepath.Base(st.report.Dir))); err != nil {
				return fmt.Errorf("set a broken stream aside: %w", err)
			}
			s.tell(fmt.Sprintf("the files of %s are set aside in %s; its %d frames that can be read are stored again", st.report.Place, aside, st.report.Frames))
			return nil
		}
		for _, b := range st.blocks {
			if err := mendBlock(b, aside); err != nil {
				return err
			}
		}
		s.tell(fmt.Sprintf("the broken blocks of %s are kept in %s; its %d frames that can be read stay", st.report.Place, aside, st.report.Frames))
		if err := os.Remove(filepath.Join(st.report.Dir, "msgs", "index.db")); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove the index of a broken stream: %w", err)
		}
		return s.mendLeases(st)
	})
	if err == nil {
		err = t.rewrite()
	}
	if err != nil {
		return nil, err
	}
	return s.losses()
}

// losses are the streams that were set aside and whose frames are not stored
// again, be it by this process or one that ended too early.
func (s *Store) losses() ([]loss, error) {
	dirs, err := filepath.Glob(filepath.Join(s.cfg.Dir, damagedDir, "*", "*"))
	if err != nil {
		return nil, fmt.Errorf("look for streams that were set aside: %w", err)
	}
	var all []loss
	for _, dir := range dirs {
		at, ok := layout.PlaceOf(filepath.Base(dir))
		if !ok {
			continue
		}
		st, err := readStream(dir, at, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, loss{st})
	}
	return all, nil
}

// mendBlock takes what is not whole out of a block. Records that are missing
// within a block are nothing new to the server: it drops them itself when it
// compacts.
func mendBlock(b *blockFile, aside string) error {
	if len(b.flaws) == 0 {
		return nil
	}
	data, err := os.ReadFile(b.path)
	if err == nil {
		err = folder.WriteFile(filepath.Join(aside, filepath.Base(b.path)), data)
	}
	if err != nil {
		return fmt.Errorf("keep a broken block: %w", err)
	}
	var whole []byte
	for _, r := range b.whole {
		whole = append(whole, data[r.offset:r.offset+r.length]...)
	}
	if err := folder.WriteFile(b.path, whole); err != nil {
		return fmt.Errorf("mend a block: %w", err)
	}
	return nil
}

// mendLeases compares what was handed out of a place with what lies in it.
func (s *Store) mendLeases(st *streamFiles) error {
	at, t := st.report.Place, s.tally
	if t.highest[at] > st.last {
		s.tell(fmt.Sprintf("%s: the blocks end at frame %d, and there were frames up to %d", st.report.Dir, st.last, t.highest[at]))
		t.drop(at, st.last) // their numbers come again
	}
	for k := range t.count {
		if k.at == at && !st.has(k.number) {
			delete(t.count, k) // it ended when the process did
		}
	}
	// Nodes used to leave the state of the leases to the server.
	if err := os.RemoveAll(filepath.Join(st.report.Dir, "obs")); err != nil {
		return fmt.Errorf("remove the server's state of leases: %w", err)
	}
	return nil
}

// restore appends the frames of streams that were set aside.
func (s *Store) restore(ctx context.Context, eng *engine, losses []loss) error {
	for _, l := range losses {
		p := eng.place(l.st.report.Place)
		p.first = l.st.last + 1
		if err := eng.ensure(ctx, p); err != nil {
			return fmt.Errorf("make %s again: %w", p.name, err)
		}
		err := l.st.each(func(f frameRecord) error {
			_, err := eng.publish(ctx, p, store.Frame{Data: f.data, Packets: layout.PacketsIn(f.subject)})
			return err
		})
		if err != nil {
			return fmt.Errorf("store the frames of %s again: %w", p.name, err)
		}
		dir := l.st.report.Dir
		if err := os.Rename(dir, dir+restored); err != nil {
			return fmt.Errorf("note that the frames of %s are stored again: %w", p.name, err)
		}
	}
	return nil
}

// tell makes damage known, once.
func (s *Store) tell(line string) {
	if s.damage.add(line) {
		s.log.Error("the store is damaged", "what", line)
	}
}
