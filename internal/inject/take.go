package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/recap/pumpkin/packet"
)

// errBusy says that a file is still being written, or that another process
// holds it.
var errBusy = errors.New("the file is in use")

// errAway says that another process has taken the file.
var errAway = errors.New("the file is gone")

// take injects the packet of a complete file and moves it away. Its error
// ends the folder.
func (f *Folder) take(ctx context.Context, s *settling, l look) error {
	file, err := claim(f.path(l.name))
	if errors.Is(err, errAway) {
		return nil
	}
	if errors.Is(err, errBusy) {
		s.add(l)
		return nil
	}
	if err != nil {
		return f.refuse(l, fmt.Errorf("it cannot be opened: %w", reason(err)))
	}
	defer file.Close() // only read; until then nobody else takes it

	text, now, err := f.read(file, l.name)
	if errors.Is(err, errBusy) {
		s.add(now)
		return nil
	}
	if err != nil {
		return f.refuse(l, err)
	}
	p, err := f.packet(now, text)
	if err != nil {
		return f.refuse(now, err)
	}
	if err := f.inject(ctx, now, p); err != nil {
		if ctx.Err() != nil {
			return nil // told; the file stays for the next start
		}
		return fmt.Errorf("inject %s: %w", f.path(l.name), err)
	}
	return f.done(now)
}

// claim opens a file and locks it, so that of several nodes that watch a
// folder one takes it. The lock goes with the file's closing.
func claim(path string) (*os.File, error) {
	// Without O_NONBLOCK a pipe that was put there meanwhile would hold us.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAway
	}
	if err != nil {
		return nil, err
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
		if named, err = os.Lstat(path); err == nil && !os.SameFile(opened, named) || errors.Is(err, fs.ErrNotExist) {
			err = errAway // who held the lock before has moved it
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// read is the whole of a file that nobody writes meanwhile.
func (f *Folder) read(file *os.File, name string) (string, look, error) {
	info, err := file.Stat()
	if err != nil {
		return "", look{}, err
	}
	l := lookOf(name, info)
	if !l.mode.IsRegular() {
		return "", l, errors.New("it is no regular file")
	}
	if l.size > f.cfg.MaxSize {
		return "", l, fmt.Errorf("it has %d bytes; at most %d are taken", l.size, f.cfg.MaxSize)
	}
	var text strings.Builder
	text.Grow(int(l.size))
	if _, err := io.Copy(&text, io.LimitReader(file, l.size+1)); err != nil {
		return "", l, fmt.Errorf("it cannot be read: %w", reason(err))
	}
	if info, err = file.Stat(); err != nil {
		return "", l, err
	}
	if now := lookOf(name, info); now != l || int64(text.Len()) != l.size {
		return "", now, errBusy
	}
	return text.String(), l, nil
}

// packet is what a file holds.
func (f *Folder) packet(l look, text string) (packet.Packet, error) {
	p := packet.Packet{State: f.cfg.State, Data: text}
	if f.cfg.State == "" {
		file, err := packet.ParseFile([]byte(text))
		if err != nil {
			return packet.Packet{}, err
		}
		if file.Group != "" && f.cfg.Group != "" && file.Group != f.cfg.Group {
			return packet.Packet{}, fmt.Errorf("its packet is of the group %s, and this node is of the group %s: put it into the rx folder of a node of its group, or take the group out of its state", file.Group, f.cfg.Group)
		}
		if len(file.Ignored) > 0 {
			f.cfg.Log.Info("a file asks for what it does not get", "file", f.path(l.name), "what", strings.Join(file.Ignored, "; "))
		}
		p = file.Packet
	}
	if p.ID.IsZero() {
		p.ID = packet.HashID("file", f.path(l.name), strconv.FormatUint(l.inode, 10), strconv.FormatInt(l.changed, 10))
	}
	return p, nil
}

// inject injects a file's packet. Once ctx has ended it goes on for the time
// of grace, so that what is in hand is not cut off without need.
func (f *Folder) inject(ctx context.Context, l look, p packet.Packet) error {
	inHand, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(f.cfg.Grace):
			cancel()
		case <-inHand.Done():
		}
	})()
	err := f.into.Inject(inHand, p)
	if err != nil {
		f.cfg.Log.Warn("a file stays in the rx folder; its packet will have the same id at the next start", "file", f.path(l.name), "err", err)
	}
	return err
}

// path is the whole path of a file of the folder.
func (f *Folder) path(name string) string { return filepath.Join(f.cfg.Dir, name) }
