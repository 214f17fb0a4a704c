package api

import (
	"errors"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A Selection names packets that wait: of some states all that have these attributes, and
// some by id.
type Selection struct {
	States     []packet.State    `json:"states,omitempty"`
	Attributes packet.Attributes `json:"attributes,omitempty"`
	IDs        []packet.ID       `json:"ids,omitempty"`
}

// Check refuses attributes that pick from nothing.
func (s Selection) Check() error {
	if len(s.Attributes) > 0 && (len(s.States) == 0 || len(s.IDs) > 0) {
		return errors.New("attributes pick from the packets of a state: name states, such as Error:align, and no ids")
	}
	return s.Attributes.Check()
}

// Name is one of its states, as errors name what of it does not wait.
func (s Selection) Name(state packet.State) string {
	if len(s.Attributes) == 0 {
		return string(state)
	}
	return string(state) + " with " + s.Attributes.Text()
}

// A Handled says how many packets were retried or dropped.
type Handled struct {
	Count int `json:"count"`
}

// Paused says on which nodes a seed was paused, or runs again.
type Paused struct {
	Nodes []string `json:"nodes"`
}

// A Forgotten says what was given up.
type Forgotten struct {
	// Seeds are those that accept nothing any more.
	Seeds []seed.Name `json:"seeds"`
	// Routed counts the packets that only such a seed had, and that went on; Dropped
	// the copies of packets that other seeds have as well.
	Routed  int `json:"routed"`
	Dropped int `json:"dropped"`
	// Left counts those that could not be moved: they are at work, or wait for their next
	// attempt.
	Left int `json:"left,omitempty"`
}

// A BackupOrder asks for a copy of what the node has stored.
type BackupOrder struct {
	// Dir is an absolute path on the node's machine. The folder does not exist,
	// or is empty.
	Dir string `json:"dir"`
}

// A BackupState is one line of the answer: how far the backup is. The last has Done,
// or Error.
type BackupState struct {
	// Large counts the pieces of large data that are copied, Of all, and Missing
	// those that are not there though frames name them.
	Large   int    `json:"large"`
	Of      int    `json:"of"`
	Missing int    `json:"missing"`
	Done    bool   `json:"done"`
	Error   string `json:"error,omitempty"`
}
