package wire

import (
	"encoding/json"
	"fmt"
)

// A Hello is the node's first frame.
type Hello struct {
	Pumpkin int      `json:"pumpkin"`
	Seed    string   `json:"seed"`
	Node    string   `json:"node"`
	Group   string   `json:"group"`
	File    string   `json:"file"`
	Source  string   `json:"source,omitempty"`
	In      []string `json:"in"`
	Out     []string `json:"out"`
	Work    string   `json:"work"`
	Max     int64    `json:"max"`
	Stores  bool     `json:"stores,omitempty"`
	// Back is how long, in milliseconds, a worker may be at a run frame before it
	// gives back what of it has not begun; 0 is for ever.
	Back int64 `json:"back,omitempty"`
}

// Stored is the node's answer to a worker that asked for it with sync.
type Stored struct {
	Stored bool   `json:"stored"`
	Error  string `json:"error,omitempty"`
}

// An Answer is the worker's first frame.
type Answer struct {
	Pumpkin int    `json:"pumpkin"`
	Worker  string `json:"worker,omitempty"`
	Meta    bool   `json:"meta,omitempty"`
	Error   string `json:"error,omitempty"`
	Output  string `json:"output,omitempty"`
	// Imported are the paths of what the seed has imported from its own folder.
	Imported []string `json:"imported,omitempty"`
}

// AppendFrame appends a whole frame whose header is v and that has no blob.
func AppendFrame(dst []byte, v any) ([]byte, error) {
	header, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return End(append(Begin(dst), header...), 0)
}

// ParseHello reads the node's first header.
func ParseHello(header []byte) (Hello, error) {
	var h Hello
	if err := json.Unmarshal(header, &h); err != nil {
		return h, Violation(fmt.Sprintf("a hello that does not parse: %v", err))
	}
	return h, checkVersion(h.Pumpkin)
}

// ParseAnswer reads a worker's first header.
func ParseAnswer(header []byte) (Answer, error) {
	var a Answer
	if err := json.Unmarshal(header, &a); err != nil {
		return a, Violation(fmt.Sprintf("a hello that does not parse: %v", err))
	}
	return a, checkVersion(a.Pumpkin)
}

func checkVersion(v int) error {
	if v != Version {
		return Violation(fmt.Sprintf(`a hello with "pumpkin": %d; expected %d, this protocol's version`, v, Version))
	}
	return nil
}
