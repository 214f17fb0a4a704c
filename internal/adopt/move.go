package adopt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/blob"
	"github.com/recap/pumpkin/internal/store/folder"
	"github.com/recap/pumpkin/internal/store/pebble"
	"github.com/recap/pumpkin/packet"
)

// Config says what goes where.
type Config struct {
	// Data is where the folders of all groups are, and Own the one that the
	// node has.
	Data string
	Own  *folder.Folder
	// Store and Blobs take the packets.
	Store store.Store
	Blobs store.Blobs
	// Arrived is called after packets have come to the store; nil is nobody.
	Arrived func()
	Log     *slog.Logger
}

// A move is that of one folder.
type move struct {
	Config
	dir     string
	from    *pebble.Files
	blobs   *blob.Store // of the folder
	packets int
	damaged int
	waited  bool // for room in the store, and that was said
}

func (m *move) arrived() {
	if m.Arrived != nil {
		m.Arrived()
	}
}

// report says what came from the folder.
func (m *move) report() {
	say := m.Log.Info
	if m.packets == 0 {
		say = m.Log.Debug
	}
	say("took over packets from a data folder that no node used", "folder", m.dir, "packets", m.packets)
}

func (m *move) broken(what string) {
	m.damaged++
	m.Log.Error("a part of a data folder is damaged", "folder", m.dir, "error", what)
}

// The pauses while the store takes nothing.
const (
	minPause = 10 * time.Millisecond
	maxPause = time.Second
)

// untilStored does it again until the store takes it.
func (m *move) untilStored(ctx context.Context, do func() error) error {
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		err := do()
		if !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrBroken) || ctx.Err() != nil {
			return err
		}
		if !m.waited {
			m.waited = true
			m.Log.Info("the packets in a data folder that no node uses are taken over when there is room", "folder", m.dir, "error", err)
		}
		m.arrived() // what came so far may make the room
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// blob puts the large data of p, if it has any, beside the frames, and holds
// it. Data that is damaged is reported and stays where it is; the packet goes on
// without, and fails where it is needed, as it would have there.
func (m *move) blob(ctx context.Context, p *packet.Packet) error {
	if p.Blob == nil {
		return nil
	}
	m.Blobs.Hold(p.Blob.Sum)
	if file, err := m.Blobs.Open(*p.Blob); err == nil {
		return file.Close() // it is there already
	}
	file, err := m.blobs.Open(*p.Blob)
	if err == nil {
		defer file.Close() // only read
		if _, err = m.Blobs.Put(ctx, packet.Verify(*p.Blob, file), p.Blob.Size); err == nil {
			m.drop(p) // Put holds it as well
			return nil
		}
	}
	switch {
	case errors.Is(err, store.ErrBroken), errors.Is(err, store.ErrTooLarge), ctx.Err() != nil:
		m.drop(p)
		return err
	}
	m.broken(fmt.Sprintf("packet %s in %s: %v", p.ID, p.State, err))
	return nil
}

func (m *move) drop(p *packet.Packet) {
	if p.Blob == nil {
		return
	}
	if err := m.Blobs.Drop(p.Blob.Sum); err != nil {
		m.Log.Debug("large data that no packet needs could not be removed", "error", err)
	}
}
