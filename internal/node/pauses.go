package node

import (
	"time"

	"github.com/recap/pumpkin/internal/pause"
)

// The pauses between attempts to store.
const (
	minPause = 5 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

var storePauses = pause.Growing{First: minPause, Most: maxPause}
