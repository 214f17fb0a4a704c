package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// newLog writes lines for people: the level, the message, what belongs to it;
// with the time only when debugging.
func newLog(w io.Writer, debug bool) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level:      level,
		TimeFormat: time.StampMilli,
		NoColor:    !isTerminal(w) || os.Getenv("NO_COLOR") != "",
		ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
			attr = whole(attr)
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
	}))
}

// whole is the attribute with a text that is printed to its end: what writes the lines
// stops at a byte that is not UTF-8, as names of files may have.
func whole(attr slog.Attr) slog.Attr {
	var text string
	switch v := attr.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
	case fmt.Stringer:
		text = v.String()
	}
	if utf8.ValidString(text) {
		return attr
	}
	quoted := strconv.Quote(text)
	return slog.String(attr.Key, strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`))
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

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
