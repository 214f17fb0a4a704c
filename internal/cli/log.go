package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
)

// newLog writes lines for people: the level, the message, what belongs to it;
// with the time only when debugging.
func newLog(w io.Writer, debug bool) *slog.Logger {
	return logTo(w, debug, isTerminal(w) && os.Getenv("NO_COLOR") == "")
}

func logTo(w io.Writer, debug, color bool) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(unrepeated{tint.NewTextHandler(w, &tint.Options{
		Level:      level,
		TimeFormat: time.StampMilli,
		NoColor:    !color,
		ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
			attr = wholeAttr(attr)
			if len(groups) > 0 {
				return attr
			}
			switch attr.Key {
			case slog.TimeKey:
				if !debug {
					return slog.Attr{}
				}
			case slog.LevelKey:
				return levelWord(attr)
			}
			return attr
		},
	})})
}

// unrepeated leaves out attributes that the message names already: people read the
// sentence, and programs the attributes.
type unrepeated struct{ slog.Handler }

func (u unrepeated) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if !names(r.Message, a) {
			out.AddAttrs(a)
		}
		return true
	})
	return u.Handler.Handle(ctx, out)
}

func (u unrepeated) WithAttrs(attrs []slog.Attr) slog.Handler {
	return unrepeated{u.Handler.WithAttrs(attrs)}
}

func (u unrepeated) WithGroup(name string) slog.Handler {
	return unrepeated{u.Handler.WithGroup(name)}
}

// calls is what comes before the name in a message, by the key of the attribute.
var calls = map[string][]string{
	"seed": {"seed ", "injector ", "inbox of "}, "packet": {"packet "}, "node": {"node "}, "state": {"waits in ", "waited in "}, "error": {": "},
}

// names tells whether the message names what the attribute does.
func names(message string, a slog.Attr) bool {
	value := a.Value.String()
	for _, before := range calls[a.Key] {
		_, after, found := strings.Cut(message, before+value)
		if found && (after == "" || !strings.ContainsRune("_-", rune(after[0])) && !isAlnum(after[0])) {
			return true
		}
	}
	return false
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// wholeAttr is the attribute with its text [whole]: what writes the lines stops at a byte that is
// not UTF-8, as names of files may have, writes a message as it is, and makes an escape of each
// \x1b in a value, which therefore stands there as \033.
func wholeAttr(attr slog.Attr) slog.Attr {
	var text string
	switch v := attr.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
	case fmt.Stringer:
		text = v.String()
	}
	shown := whole(text)
	if attr.Key != slog.MessageKey {
		shown = strings.ReplaceAll(shown, `\x1b`, `\033`)
	}
	if shown != text {
		return slog.String(attr.Key, shown)
	}
	return attr
}

// levelWord is the level as a word, padded so that messages stand in one
// column.
func levelWord(attr slog.Attr) slog.Attr {
	level, ok := attr.Value.Any().(slog.Level)
	if !ok {
		return attr
	}
	word, color := "DEBUG", uint8(8)
	switch {
	case level >= slog.LevelError:
		word, color = "ERROR", 9
	case level >= slog.LevelWarn:
		word, color = "WARN ", 11
	case level >= slog.LevelInfo:
		word, color = "INFO ", 10
	}
	return tint.Attr(color, slog.String(attr.Key, word))
}
