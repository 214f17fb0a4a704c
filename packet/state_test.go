package packet

import (
	"strings"
	"testing"
)

func TestParseState(t *testing.T) {
	for _, s := range []string{"String:RAW", "a:b", "String_2:x-y", "Error:greet", strings.Repeat("x", MaxName) + ":1"} {
		state, err := ParseState(s)
		if err != nil || string(state) != s || state.Type()+":"+state.Name() != s {
			t.Errorf("%q: got %q, %v", s, state, err)
		}
	}
	for s, want := range map[string]string{
		"":                                    "has no colon; expected Type:NAME",
		"RAW":                                 "has no colon",
		":RAW":                                "the type is empty",
		"String:":                             "the name is empty",
		"a:b:c":                               "the name \"b:c\" has ':' at byte 1",
		"Str ing:RAW":                         "the type \"Str ing\" has ' ' at byte 3",
		"String:CAFÉ":                         "has 'É' at byte 3",
		"String:RAW\n":                        `has '\n' at byte 3`,
		"String:\xff":                         "at byte 0",
		"String:A/../B":                       "has '/' at byte 1",
		strings.Repeat("x", MaxName+1) + ":1": "is 97 bytes long; at most 96",
	} {
		if state, err := ParseState(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v; want an error with %q", s, state, err, want)
		}
	}
}

func TestParseTag(t *testing.T) {
	for s, want := range map[string]struct {
		group string
		state State
	}{
		"String:RAW":         {"", "String:RAW"},
		"default:String:RAW": {"default", "String:RAW"},
	} {
		group, state, err := ParseTag(s)
		if err != nil || group != want.group || state != want.state {
			t.Errorf("%q: got %q, %q, %v", s, group, state, err)
		}
		if group != "" && state.Tag(group) != s {
			t.Errorf("%q: Tag gives %q", s, state.Tag(group))
		}
	}
	for _, s := range []string{"", "RAW", ":A:B", "g:A:", "g h:A:B", "g:A:B:C"} {
		if group, state, err := ParseTag(s); err == nil {
			t.Errorf("%q was taken for %q, %q", s, group, state)
		}
	}
}

func TestErrorState(t *testing.T) {
	s := ErrorState("greet")
	if s != "Error:greet" || s.Type() != ErrorType || s.Name() != "greet" {
		t.Errorf("got %q", s)
	}
}
