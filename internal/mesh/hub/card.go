package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/pause"
	"github.com/recap/pumpkin/packet"
)

// maxCard bounds a card on its way.
const maxCard = 1 << 20

// An entry is what lies in the bucket under a node's name.
type entry struct {
	Protocol int       `json:"protocol"`
	Card     mesh.Card `json:"card"`
}

// encode writes the card of this node.
func (h *Hub) encode() ([]byte, error) {
	data, err := json.Marshal(entry{mesh.Protocol, h.cfg.Host.Card()})
	if err == nil && int64(len(data)) > min(maxCard, h.cfg.Conn.MaxPayload()) {
		err = fmt.Errorf("what this node says of itself has %d bytes; the cluster takes %d (max_payload)", len(data), min(maxCard, h.cfg.Conn.MaxPayload()))
	}
	return data, err
}

// decode reads what lies under a name, which anybody may have written.
func decode(name string, data []byte) (entry, error) {
	var e entry
	if len(data) > maxCard {
		return e, fmt.Errorf("the card of the node %s has %d bytes; at most %d are read", name, len(data), maxCard)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("the card of the node %s: %w", name, err)
	}
	if e.Protocol != mesh.Protocol {
		return e, fmt.Errorf("the node %s is of version %s, which speaks protocol %d; this one speaks %d: run the same version on both", name, e.Card.Version, e.Protocol, mesh.Protocol)
	}
	if e.Card.Node != name || e.Card.Boot == (packet.ID{}) {
		return e, fmt.Errorf("the card under the name %s is that of %q", name, e.Card.Node)
	}
	return e, nil
}

// claim writes the card for the first time. A card of another boot under the
// same name stands as long as its node lives.
func (h *Hub) claim(ctx context.Context) error {
	data, err := h.encode()
	if err != nil {
		return err
	}
	end := time.Now().Add(lapse + renewEvery)
	for {
		var late error // what is said in the end
		call, cancel := context.WithTimeout(ctx, callTime)
		h.revision, err = h.cards.Create(call, h.name, data)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrKeyExists):
			late = ErrTaken
			call, cancel := context.WithTimeout(ctx, callTime)
			there, err := h.cards.Get(call, h.name)
			cancel()
			if err == nil {
				took, err := h.succeed(ctx, there, data)
				if took || err != nil {
					return err
				}
			} else if unanswered(err) {
				late = err // whose card it is is not known
			}
		case unanswered(err): // a card that was written all the same is found there
			late = err
		default:
			return err
		}
		if time.Now().After(end) {
			return late
		}
		if !pause.For(ctx, strikeAfter) {
			return ctx.Err()
		}
	}
}

// succeed takes the place of a node that is gone. It is not said of a card that
// cannot be read, or a node that does not answer, whether it is: its card lapses.
func (h *Hub) succeed(ctx context.Context, there jetstream.KeyValueEntry, data []byte) (took bool, err error) {
	holder, bad := decode(h.name, there.Value())
	if bad != nil {
		return false, nil
	}
	if holder.Card.Boot != h.boot {
		switch h.sound(ctx, holder.Card.Boot) {
		case alive:
			return false, ErrTaken
		case unknown:
			return false, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	revision, err := h.cards.Update(ctx, h.name, data, there.Revision())
	if err != nil {
		return false, nil // another was faster; the next look tells who
	}
	h.revision = revision
	return true, nil
}

// renew writes the card anew, at intervals and when it has changed. It returns
// when ctx ends or another node has taken the name.
func (h *Hub) renew(ctx context.Context) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		changed := h.cfg.Host.Changed() // before the card is read, so that none is missed
		if err := h.write(ctx); errors.Is(err, ErrTaken) {
			return err
		} else if err != nil && ctx.Err() == nil {
			h.log.Debug("renewing this node's card in the cluster", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-changed:
		}
	}
}

// write writes the card once.
func (h *Hub) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	data, err := h.encode()
	if err != nil {
		h.log.Warn(err.Error())
		return err
	}
	revision, err := h.cards.Update(ctx, h.name, data, h.revision)
	if err == nil {
		h.revision = revision
		return nil
	}
	// It has lapsed, or was written although no answer came, or is another's.
	there, getErr := h.cards.Get(ctx, h.name)
	switch {
	case errors.Is(getErr, jetstream.ErrKeyNotFound):
		revision, err = h.cards.Create(ctx, h.name, data)
	case getErr != nil:
		return errors.Join(err, getErr)
	default:
		if e, bad := decode(h.name, there.Value()); bad == nil && e.Card.Boot != h.boot {
			return ErrTaken
		}
		revision, err = h.cards.Update(ctx, h.name, data, there.Revision())
	}
	if err == nil {
		h.revision = revision
	}
	return err
}

// leave removes the card.
func (h *Hub) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	if !h.cfg.Conn.IsConnected() {
		return // it lapses
	}
	err := h.cards.Delete(ctx, h.name, jetstream.LastRevision(h.revision))
	if err != nil {
		// The last writing may have ended without an answer.
		var there jetstream.KeyValueEntry
		if there, err = h.cards.Get(ctx, h.name); err == nil {
			if e, bad := decode(h.name, there.Value()); bad != nil || e.Card.Boot != h.boot {
				return
			}
			err = h.cards.Delete(ctx, h.name, jetstream.LastRevision(there.Revision()))
		}
	}
	if err != nil {
		h.log.Debug("removing this node's card from the cluster", "error", err)
	}
}
