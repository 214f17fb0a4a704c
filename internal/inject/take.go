package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// errBusy says that a file is still being written, or that another process
// holds it.
var errBusy = errors.New("the file is in use")

// errKnown says that a file was taken before.
var errKnown = errors.New("the file was taken before")

// errAway says that another process has taken the file.
var errAway = errors.New("the file is gone")

// take injects the packet of a complete file and moves it away. Its error
// ends the folder.
func (f *Folder) take(ctx context.Context, s *settling, l look) error {
	if f.small(l) {
		s.back(l)
		return f.takeTogether(ctx, s)
	}
	var away *ownDir
	if f.memory == nil {
		if away = f.ownFor(s, l, doneDir); away == nil {
			return nil
		}
		defer away.close()
	}
	file, err := f.claim(l.name)
	if errors.Is(err, errAway) {
		return nil
	}
	if errors.Is(err, errBusy) {
		s.again(l)
		return nil
	}
	if err != nil {
		return f.refuse(s, l, fmt.Errorf("it cannot be opened: %w", reason(err)))
	}
	defer file.Close() // only read; until then nobody else takes it

	var id packet.ID
	now, err := f.look(file, l.name)
	if err == nil {
		id, err = f.inject(ctx, now, file)
	}
	switch {
	case errors.Is(err, errBusy):
		if now, err := f.look(file, l.name); err == nil {
			s.again(now)
		}
		return nil
	case errors.Is(err, errKnown):
		return nil
	case errors.As(err, new(refusal)):
		return f.refuse(s, now, err)
	case err != nil && ctx.Err() != nil:
		return nil // told; the file stays for the next start
	case err != nil:
		return fmt.Errorf("inject %s: %w", f.path(l.name), err)
	}
	return f.done(now, file, id, away)
}

// maxHeld is of how many folders it is remembered why no file can be moved there.
const maxHeld = 1000

// ownFor opens the folder in one of the folder's own folders where a file moves to. Where
// it cannot, it leaves the file for later, says so as long as the reason is another, and
// gives nil.
func (f *Folder) ownFor(s *settling, l look, name string) *ownDir {
	to := path.Join(name, folderOf(l.name))
	o, err := f.own(name, folderOf(l.name))
	if err == nil {
		delete(f.held, to)
		return o
	}
	if errors.Is(err, errAway) {
		return nil
	}
	s.put(l, lookEvery)
	if why := err.Error(); f.held[to] != why && len(f.held) < maxHeld {
		f.held[to] = why
		f.cfg.Log.Error(fmt.Sprintf("files wait in the rx folder, since they could not be moved away; this is tried again every %v", lookEvery), "dir", f.cfg.Dir, "err", err)
	}
	return nil
}

// lock opens a file and locks it, so that of several nodes that watch a
// folder one takes it. The lock goes with the file's closing.
func (f *Folder) lock(name string) (*os.File, error) {
	file, err := f.open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, errAway // or its folder is
	}
	if err != nil {
		return nil, err
	}
	if f.memory != nil {
		return file, nil // each node that watches it has it
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		file.Close() // only opened
		return nil, errBusy
	}
	// Any other error is a file system's that has no locks: go on without.
	opened, err := file.Stat()
	if err == nil {
		var named fs.FileInfo
		if named, err = os.Lstat(f.path(name)); err == nil && !os.SameFile(opened, named) || errors.Is(err, fs.ErrNotExist) {
			err = errAway // who held the lock before has moved it
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// claim is [Folder.lock] for a file that no program has open for writing.
func (f *Folder) claim(name string) (*os.File, error) {
	file, err := f.lock(name)
	if err == nil && f.written(file) {
		file.Close() // only opened
		return nil, errBusy
	}
	return file, err
}

// written tells whether a program has the file open for writing, as far as the
// system tells; that it does not is said once.
func (f *Folder) written(file *os.File) bool {
	is, err := written(file)
	if err != nil && !f.blind {
		f.blind = true
		f.cfg.Log.Warn(fmt.Sprintf("the system does not tell whether a program still writes to a file of the %s: one that has not changed for %v counts as complete; --rx-quiet sets how long", f.kind, f.cfg.Quiet),
			"dir", f.cfg.Dir, "err", err)
	}
	return is
}

// A refusal is what is wrong with a file.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// look is what a file is now.
func (f *Folder) look(file *os.File, name string) (look, error) {
	info, err := file.Stat()
	if err != nil {
		return look{}, refusal{err}
	}
	l := lookOf(name, info)
	if !l.mode.IsRegular() {
		return l, refusal{errors.New("it is not a regular file")}
	}
	if f.cfg.State == "" && l.size > f.cfg.MaxSize {
		return l, refusal{fmt.Errorf("it has %d bytes; at most %d are taken", l.size, f.cfg.MaxSize)}
	}
	return l, nil
}

// A steady reads a file that nobody writes meanwhile: else it ends with
// errBusy.
type steady struct {
	file    *os.File
	look    look
	written func(*os.File) bool
	n       int64
}

func (s *steady) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	s.n += int64(n)
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, refusal{fmt.Errorf("it cannot be read: %w", reason(err))}
	}
	info, err := s.file.Stat()
	if err != nil {
		return n, refusal{err}
	}
	// What was written until it was looked at shows there. Who has it open still is
	// not done with it.
	if lookOf(s.look.name, info) != s.look || s.n != s.look.size || s.written(s.file) {
		return n, errBusy
	}
	return n, io.EOF
}

// parse reads the packet in a .pkt file.
func (f *Folder) parse(l look, r io.Reader) (packet.Packet, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return packet.Packet{}, err
	}
	file, err := packet.ParseFile(text)
	if err != nil {
		return packet.Packet{}, refusal{err}
	}
	if file.Group != "" && f.cfg.Group != "" && file.Group != f.cfg.Group {
		return packet.Packet{}, refusal{fmt.Errorf("its packet is of the group %s, and this node is of the group %s: put it into the rx folder of a node of its group, or take the group out of its state", file.Group, f.cfg.Group)}
	}
	if len(file.Ignored) > 0 {
		f.cfg.Log.Info("fields of a file have no effect", "file", f.path(l.name), "what", strings.Join(file.Ignored, "; "))
	}
	return file.Packet, nil
}

// inject injects a file's packet, and gives its id. Once ctx has ended it goes on for the time
// of grace, so that what is in hand is not cut off without need.
func (f *Folder) inject(ctx context.Context, l look, file *os.File) (packet.ID, error) {
	p := packet.Packet{State: f.cfg.State}
	r := &steady{file: file, look: l, written: f.written}
	if f.cfg.State == "" {
		parsed, err := f.parse(l, r)
		if err != nil {
			return packet.ID{}, err
		}
		p = parsed
	}
	named(&p, l.name)
	var with []store.Record
	if p.ID.IsZero() {
		var err error
		if p.ID, with, err = f.know(ctx, l, file); err != nil {
			return packet.ID{}, err
		}
	}
	inHand, end := f.inHand(ctx)
	defer end()
	var err error
	if f.cfg.State == "" {
		err = f.into.Inject(inHand, p)
	} else {
		err = f.into.InjectData(inHand, p, r, l.size, with...)
	}
	if errors.Is(err, packet.ErrTooLarge) || errors.Is(err, packet.ErrTooLong) {
		return p.ID, refusal{err} // the network takes others
	}
	if err != nil && !errors.Is(err, errBusy) && !errors.As(err, new(refusal)) {
		f.stays(l, err)
	}
	return p.ID, err
}

// know gives the id of a file's packet and what is to be stored with it. Its error is
// errKnown for one that was taken before.
func (f *Folder) know(ctx context.Context, l look, file *os.File) (id packet.ID, with []store.Record, err error) {
	content, err := contentOf(l, file)
	if err != nil {
		return id, nil, err
	}
	with, known, err := f.recognise(ctx, l, content)
	if known {
		err = errKnown
	}
	return fileID(f.path(l.name), l, content), with, err
}

// named gives a packet the name of its file below the folder, unless it has one or no
// room for it.
func named(p *packet.Packet, name string) {
	extra := packet.Extra{}
	if p.Extra != nil {
		extra = *p.Extra
	}
	if _, ok := extra.Attributes[packet.FileAttribute]; ok {
		return
	}
	extra.Attributes = extra.Attributes.With(packet.Attributes{packet.FileAttribute: strings.ToValidUTF8(name, "\uFFFD")})
	if extra.Attributes.Check() == nil {
		p.Extra = &extra
	}
}

// path is the whole path of a file of the folder.
func (f *Folder) path(name string) string { return filepath.Join(f.cfg.Dir, name) }
