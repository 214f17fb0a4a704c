package inject

import (
	"context"
	"errors"
	"fmt"

	"github.com/recap/pumpkin/packet"
)

// take injects the packet of a complete file and moves it away. Its error
// ends the folder.
func (f *taker) take(ctx context.Context, s *candidates, l stat) error {
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
	now, err := f.examine(file, l.name)
	if err == nil {
		id, err = f.inject(ctx, now, file)
	}
	switch {
	case errors.Is(err, errBusy):
		if now, err := f.examine(file, l.name); err == nil {
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
