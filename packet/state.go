package packet

import (
	"fmt"
	"strings"
)

// State is what data is at a point of its way, written Type:NAME, for example
// TweetString:RAW. The zero State is no state. A State that came from
// [ParseState] is well formed; a constant in code is trusted to be.
type State string

// MaxName is the longest type, state name, seed name or group, in bytes.
const MaxName = 96

// ErrorType is the type of the states that failed packets go to: the state
// Error:greet holds what the seed greet gave up on.
const ErrorType = "Error"

// ParseState reads Type:NAME. Both parts are 1 to [MaxName] ASCII letters,
// digits, '_' or '-'.
func ParseState(s string) (State, error) {
	typ, name, ok := strings.Cut(s, ":")
	if !ok {
		return "", fmt.Errorf("state %q has no colon; expected Type:NAME, such as String:RAW", s)
	}
	if err := CheckName("type", typ); err != nil {
		return "", fmt.Errorf("state %q: %w", s, err)
	}
	if err := CheckName("name", name); err != nil {
		return "", fmt.Errorf("state %q: %w", s, err)
	}
	return State(s), nil
}

// ParseTag reads a state as it stands on the wire, group:Type:NAME, or
// Type:NAME, for which group is "".
func ParseTag(s string) (group string, state State, err error) {
	if strings.Count(s, ":") < 2 {
		state, err = ParseState(s)
		return "", state, err
	}
	group, rest, _ := strings.Cut(s, ":")
	if err := CheckName("group", group); err != nil {
		return "", "", fmt.Errorf("state %q: %w", s, err)
	}
	state, err = ParseState(rest)
	return group, state, err
}

// ErrorState is the state that packets go to which the seed of that name gave
// up on.
func ErrorState(seed string) State { return State(ErrorType + ":" + seed) }

// Type is the part before the colon.
func (s State) Type() string {
	typ, _, _ := strings.Cut(string(s), ":")
	return typ
}

// Name is the part behind the colon.
func (s State) Name() string {
	_, name, _ := strings.Cut(string(s), ":")
	return name
}

// Tag is the state as it stands on the wire, with its group in front.
func (s State) Tag(group string) string { return group + ":" + string(s) }

// CheckName says what is wrong with a name, which is to be 1 to [MaxName]
// ASCII letters, digits, '_' or '-'. What names the thing in the error.
func CheckName(what, name string) error {
	if name == "" {
		return fmt.Errorf("the %s is empty", what)
	}
	if len(name) > MaxName {
		return fmt.Errorf("the %s is %d bytes long; at most %d are allowed", what, len(name), MaxName)
	}
	for i, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return fmt.Errorf("the %s %q has %q at byte %d; letters, digits, '_' and '-' are allowed", what, name, r, i)
		}
	}
	return nil
}
