package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/packet"
)

// parse reads the packet in a .pkt file.
func (f *taker) parse(l stat, r io.Reader) (packet.Packet, error) {
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
		f.cfg.Log.Info("fields of a file have no effect", "file", f.path(l.name), "fields", strings.Join(file.Ignored, "; "))
	}
	return file.Packet, nil
}

// know gives the id of a file's packet and what is to be stored with it. Its error is
// errKnown for one that was taken before.
func (f *taker) know(ctx context.Context, l stat, file *os.File) (id packet.ID, with []store.Record, err error) {
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

// inHand is what the files in hand live by: once ctx has ended it goes on for the time
// of grace, so that they are not cut off without need.
func (f *taker) inHand(ctx context.Context) (inHand context.Context, end func()) {
	inHand, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(f.cfg.Grace):
			cancel()
		case <-inHand.Done():
		}
	})
	return inHand, func() {
		stop()
		cancel()
	}
}

// reportStays says that a file was not taken.
func (f *taker) reportStays(l stat, err error) {
	f.cfg.Log.Warn("a file stays in the "+f.kind+", not taken; its packet will have the same id at the next start",
		"file", f.path(l.name), "error", err)
}

const (
	// smallFile is the size, in bytes, up to which files are taken together: each
	// alone would wait for the disk.
	smallFile = 16 << 10
	// maxTogether is how many are, and are open at a time.
	maxTogether = 256
)

// inject injects a file's packet, and gives its id. Once ctx has ended it goes on for the time
// of grace, so that what is in hand is not cut off without need.
func (f *taker) inject(ctx context.Context, l stat, file *os.File) (packet.ID, error) {
	p := packet.Packet{State: f.cfg.State}
	r := &steady{file: file, stat: l, written: f.written}
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
		f.reportStays(l, err)
	}
	return p.ID, err
}
