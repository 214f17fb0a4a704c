package top

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/recap/pumpkin/internal/node"
)

// A Screen is where a view is drawn.
type Screen struct {
	Width, Height int
	Color         bool
	Keys          bool // there is somebody to press some
}

// A style is how a line stands out, as the terminal is told.
type style string

const (
	plain   style = ""
	strong  style = "1"
	pointed style = "7"
	bad     style = "31"
)

// A page is filled line by line.
type page struct {
	Screen
	lines []string
}

// add is one line, cut to the width. What comes from outside, as reasons do, may
// hold anything; the terminal is only given what can be seen.
func (p *page) add(s style, format string, args ...any) {
	line := cut(fmt.Sprintf(format, args...), p.Width)
	if s == pointed { // over the whole width
		line = pad(line, p.Width)
	}
	if p.Color && s != plain {
		line = "\x1b[" + string(s) + "m" + line + "\x1b[0m"
	} else if s == pointed {
		line = strings.TrimRight(line, " ")
	}
	p.lines = append(p.lines, line)
}

// left is how many more lines there may be.
func (p *page) left() int { return p.Height - len(p.lines) }

// cut is text that can be seen, of at most that many characters.
func cut(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	if most <= 1 {
		return string(runes[:max(most, 0)])
	}
	return string(runes[:most-1]) + "~"
}

func pad(text string, to int) string {
	return text + strings.Repeat(" ", max(to-utf8.RuneCountInString(text), 0))
}

func label(r Row) string {
	name := string(r.Seed)
	if r.Nodes > 1 {
		name += fmt.Sprintf(" x%d", r.Nodes)
	}
	switch {
	case r.Paused > 0:
		name = "paused " + name
	case r.Behind:
		name = "!" + name
	}
	return name
}

func drain(r Row) string {
	if r.Drain.Time == 0 {
		return "-"
	}
	return fmt.Sprintf("%s ±%.0f%%", duration(r.Drain.Time), 100*r.Drain.Error)
}

// number is a count or a rate in at most six characters.
func number(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 9.95:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	case v < 1e5:
		return fmt.Sprintf("%.0f", v)
	case v < 1e8:
		return fmt.Sprintf("%.0fk", v/1e3)
	}
	return fmt.Sprintf("%.0fM", v/1e6)
}

// duration is one in at most seven characters.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d.Nanoseconds())
	case d < time.Millisecond:
		return fmt.Sprintf("%.3gµs", float64(d.Nanoseconds())/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.3gms", float64(d.Microseconds())/1e3)
	case d < time.Minute:
		return fmt.Sprintf("%.3gs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func age(now, since time.Time) string {
	return duration(max(now.Sub(since), time.Second).Round(time.Second))
}

func storeText(s node.StoreStatus) string {
	text := s.Durability + ", " + humanize.IBytes(uint64(max(s.Used, 0)))
	if s.Size > 0 {
		text += fmt.Sprintf(" of %s (%d %%)", humanize.IBytes(uint64(s.Size)), 100*s.Used/s.Size)
	}
	if why := s.Held(); why != "" {
		text += "; senders wait: " + why
	}
	return text
}
