package sum

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/seed"
)

// A Finding is something about a network that its figures do not tell.
type Finding struct {
	Seed seed.Name // "" for what is about no seed
	Text string    // for people, one line
}

// Findings are what is worth a line about a network at that time: what is not loaded, away,
// filtered, behind, failing or refused.
func Findings(all *api.Network, now time.Time) (out []Finding) {
	add := func(name seed.Name, format string, args ...any) {
		out = append(out, Finding{name, fmt.Sprintf(format, args...)})
	}
	notLoaded(all, add)
	for _, s := range Away(all.Nodes) {
		add(s.Seed, "%s; 'pmk forget %s' ends that", Kept(&s), s.Seed)
	}
	var filtered []string
	for _, s := range all.Seeds {
		if s.Filtered > 0 {
			filtered = append(filtered, fmt.Sprintf("%d filtered by %s", s.Filtered, s.Name))
		}
	}
	if len(filtered) > 0 {
		add("", "%s", strings.Join(filtered, ", "))
	}
	for _, m := range all.Nodes {
		for _, s := range m.Seeds {
			if s.Silent != "" {
				add(s.Manifest.Name, "seed %s of %s %s; the log says what the cause may be", s.Manifest.Name, m.Node, s.Silent)
			}
		}
	}
	for _, m := range all.Nodes {
		for _, b := range m.Behind {
			add(b.Seed, "seed %s falls behind: for %s its backlog in the store of %s has grown, to %s now and by %.0f each second; add workers, or another node with the seed",
				b.Seed, Rounded(now.Sub(b.Since)), m.Node, english.Plural(b.Packets, "packet", ""), b.Growth)
		}
	}
	failing(all, now, add)
	for _, m := range all.Nodes {
		for _, r := range m.Refused {
			add(r.Manifest.Name, "seed %s of %s is refused: %s", r.Manifest.Name, m.Node, r.Why)
		}
	}
	if i := all.Ignored; i != (api.Ignored{}) {
		add("", "ignored, because they came without the key: %s, %s", english.Plural(int(i.Connections), "connection", ""), english.Plural(int(i.Beacons), "beacon", ""))
	}
	return out
}

// notLoaded finds the seeds that are not loaded, and why.
func notLoaded(all *api.Network, add func(seed.Name, string, ...any)) {
	for _, m := range all.Nodes {
		var loading []string
		for _, s := range m.Seeds {
			switch why, _, _ := strings.Cut(s.NotLoaded, "\n"); {
			case why != "":
				add(s.Manifest.Name, "seed %s of %s is not loaded: %s; this is tried again, and its packets wait", s.Manifest.Name, m.Node, why)
			case s.Loading:
				loading = append(loading, filepath.Base(s.Manifest.File))
			}
		}
		if len(loading) > 0 {
			add("", "node %s is loading %s", m.Node, strings.Join(loading, ", "))
		}
	}
}

// failing finds the seeds that fail now, and when what failed is tried again, or the injector
// started.
func failing(all *api.Network, now time.Time, add func(seed.Name, string, ...any)) {
	for _, m := range all.Nodes {
		for _, s := range m.Seeds {
			if i := s.Injector; i != nil && i.Failed > 0 {
				line := i.Text(now)
				if len(s.Errors) > 0 {
					line += ": " + s.Errors[0].Error
				}
				add(s.Manifest.Name, "injector %s of %s: %s", s.Manifest.Name, m.Node, line)
				continue
			}
			for _, e := range s.Errors {
				if wait := e.Next.Sub(now); wait > 0 {
					add(s.Manifest.Name, "seed %s of %s fails: %s (%s); the last packet is tried again in %v",
						s.Manifest.Name, m.Node, e.Error, english.Plural(e.Count, "run", ""), wait.Round(time.Second))
				}
			}
		}
	}
}

// Kept says what is kept for a seed that is away.
func Kept(a *api.Away) string {
	return fmt.Sprintf("%s, %s (hosted by %s)", Copies(a.Seed, a.Packets), a.Text, strings.Join(a.Nodes, ", "))
}

// Copies says that so many copies are kept for a seed.
func Copies(name seed.Name, count int) string {
	verb := "are"
	if count == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%s %s kept for %s", english.Plural(count, "copy", "copies"), verb, name)
}

// Rounded is a time that has gone by, as exact as people want it.
func Rounded(d time.Duration) time.Duration {
	switch {
	case d >= time.Hour:
		return d.Round(time.Minute)
	case d >= time.Minute:
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}
