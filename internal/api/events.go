package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"
)

// The events of a node, and those of the network.
const (
	StatusEvent   = "status"
	NetworkEvent  = "network"
	ChangesEvent  = "changes"
	CountersEvent = "counters"
)

// StatusTime is how seldom a node says that nothing is new.
const StatusTime = 2 * time.Second

// maxEvent is the most bytes of one event of a node.
const maxEvent = 64 << 20

// ErrEventsEnded is a stream of events that has ended.
var ErrEventsEnded = errors.New("the events have ended")

// ReadEvents gives server-sent events to visit, whose data is one line each.
func ReadEvents(r io.Reader, visit func(event string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	event := ""
	for lines.Scan() {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(name) {
		case "event":
			event = string(value)
		case "data":
			if err := visit(event, value); err != nil {
				return err
			}
		}
	}
	return errors.Join(ErrEventsEnded, lines.Err())
}
