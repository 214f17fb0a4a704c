package inject

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// find looks for files to take in a sub-folder, "" for the folder itself. The oldest are
// first. left is what is none to take.
func (f *finder) find(ctx context.Context, sub string) (found []stat, left map[string]others, err error) {
	left = map[string]others{}
	w := walk{of: f, ctx: ctx, visit: func(l stat, ok bool, why string) bool {
		switch {
		case ok && f.isNew(ctx, l):
			found = append(found, l)
		case why != "":
			left[why] = others{left[why].count + 1, l.name}
		}
		return len(found) <= maxCandidates
	}}
	err = w.below(sub)
	slices.SortFunc(found, func(a, b stat) int {
		return cmp.Or(cmp.Compare(a.changed, b.changed), strings.Compare(a.name, b.name))
	})
	return found, left, err
}

// scan makes every file of the folder a candidate, the oldest first.
func (f *finder) scan(ctx context.Context, s *candidates) error {
	began := time.Now()
	found, left, err := f.find(ctx, "")
	if err != nil {
		return errors.Join(errGone, err)
	}
	if ctx.Err() != nil {
		return nil
	}
	f.reportOthers(left)
	f.forget(ctx)
	for _, l := range found {
		if !s.add(l) {
			break
		}
	}
	s.looked = time.Now()
	s.pause = (lookShare - 1) * s.looked.Sub(began)
	s.through.Reset(max(lookEvery, s.pause))
	return nil
}

// rescan is scan, but not too soon after the last one: then it is put off.
func (f *finder) rescan(ctx context.Context, s *candidates) error {
	if left := s.pause - time.Since(s.looked); left > 0 {
		s.through.Reset(left)
		return nil
	}
	return f.scan(ctx, s)
}

// lookShare bounds how much of the time goes into looking through the folder: one part of
// that many.
const lookShare = 10

// scanBelow makes every file of a sub-folder that has just come a candidate.
func (f *finder) scanBelow(ctx context.Context, s *candidates, sub string) {
	l, ok, _ := f.judge(sub)
	if !ok || !l.mode.IsDir() {
		return
	}
	found, _, err := f.find(ctx, sub)
	if err != nil {
		f.cfg.Log.Debug("a new folder could not be looked into; this is tried again", "folder", f.path(sub), "error", err)
	}
	for _, l := range found {
		s.add(l)
	}
}

// due takes out the first file that is due, if it is as it was.
func (f *finder) due(s *candidates) (stat, bool) {
	seen, due := s.next()
	if !due {
		return stat{}, false
	}
	now, ok := f.eligible(seen.name)
	if ok && now != seen {
		s.add(now)
		s.changes(now.name)
	}
	return now, ok && now == seen
}
