package seed

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/recap/pumpkin/packet"
)

func TestParseContract(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Contract
		back string
	}{
		{"String:UNGREETED -> String:GREETING",
			Contract{In: states("String:UNGREETED"), Out: states("String:GREETING")}, ""},
		{"-> String:UNGREETED", Contract{Out: states("String:UNGREETED")}, ""},
		{"String:GREETING ->", Contract{In: states("String:GREETING")}, ""},
		{"A:B|C:D->E:F|G:H", Contract{In: states("A:B", "C:D"), Out: states("E:F", "G:H")}, "A:B | C:D -> E:F | G:H"},
		{"  A:B &\tC:D &E:F ->", Contract{In: states("A:B", "C:D", "E:F"), Join: true}, "A:B & C:D & E:F ->"},
		{"Error:greet -> String:UNGREETED", Contract{In: states("Error:greet"), Out: states("String:UNGREETED")}, ""},
		{"A:B -> A:B", Contract{In: states("A:B"), Out: states("A:B")}, ""},
		{"CSV:SAInput -> CSV:x-y_1", Contract{In: states("CSV:SAInput"), Out: states("CSV:x-y_1")}, ""},
	} {
		got, err := ParseContract(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if !slices.Equal(got.In, tt.want.In) || !slices.Equal(got.Out, tt.want.Out) || got.Join != tt.want.Join {
			t.Errorf("%q: got %+v, want %+v", tt.text, got, tt.want)
		}
		back := tt.back
		if back == "" {
			back = tt.text
		}
		if got.String() != back {
			t.Errorf("%q: String is %q, want %q", tt.text, got, back)
		}
	}
}

func TestParseContractRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "the contract is empty; expected INPUT -> OUTPUT"},
		{"  ", "the contract is empty"},
		{"->", "a state on neither side"},
		{"String:RAW", "has no arrow"},
		{"A:B => C:D", `has "=>"; the arrow is written ->`},
		{"A:B --> C:D", `has "-->"; the arrow is written ->`},
		{"A:B → C:D", `has "→"; the arrow is written ->`},
		{"A:B <- C:D", `has "<-"; the arrow is written ->`},
		{"A:B -> C:D -> E:F", "has 2 arrows"},
		{"A:B | C:D & E:F -> G:H", "left of the arrow: | (any of) and & (all of) are mixed"},
		{"A:B -> C:D & E:F", "has & right of the arrow"},
		{"A:B | -> C:D", "a state is missing before or after |"},
		{"A:B && C:D ->", "a state is missing before or after &"},
		{"A:B | A:B -> C:D", "left of the arrow: A:B appears twice"},
		{"A:B -> C:D | C:D", "right of the arrow: C:D appears twice"},
		{"A:B, C:D -> E:F", `"A:B, C:D" is not a state; states are separated by |`},
		{"A:B or C:D ->", "states are separated by |"},
		{"RAW -> C:D", `state "RAW" has no colon; expected Type:NAME`},
		{":RAW -> C:D", "the type is empty"},
		{"A: -> C:D", "the name is empty"},
		{"default:A:B -> C:D", "has three parts; a state is Type:NAME, and the group is set by a pmk-group line"},
		{"A:B -> C:Ü", `has 'Ü' at byte 0`},
		{"error:greet -> C:D", `did you mean Error:greet?`},
		{"A:B -> Error:greet", "gives Error:greet; packets get there by failing"},
		{"A:" + strings.Repeat("x", 97) + " ->", "97 bytes long; at most 96"},
	} {
		c, err := ParseContract(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, %v; want an error with %q", tt.text, c, err, tt.want)
		}
	}
}

func TestPredicates(t *testing.T) {
	c, err := ParseContract("A:B | C:D -> E:F")
	if err != nil {
		t.Fatal(err)
	}
	if c.Injector() || c.Extractor() || !c.Takes("C:D") || c.Takes("E:F") || !c.Gives("E:F") || c.Gives("A:B") {
		t.Errorf("predicates of %v are wrong", c)
	}
	if inject := (Contract{Out: states("A:B")}); !inject.Injector() || inject.Extractor() {
		t.Errorf("predicates of %v are wrong", inject)
	}
}

// TestContractRoundTrip: what String writes, ParseContract reads as the same.
func TestContractRoundTrip(t *testing.T) {
	state := rapid.Map(rapid.StringMatching(`[A-Za-z0-9_-]{1,8}:[A-Za-z0-9_-]{1,8}`),
		func(s string) packet.State { return packet.State(s) })
	side := rapid.SliceOfNDistinct(state, 0, 4, func(s packet.State) packet.State { return s })
	rapid.Check(t, func(t *rapid.T) {
		c := Contract{In: side.Draw(t, "in"), Out: side.Draw(t, "out")}
		c.Join = len(c.In) > 1 && rapid.Bool().Draw(t, "join")
		for _, s := range append(slices.Clone(c.In), c.Out...) {
			if strings.EqualFold(s.Type(), packet.ErrorType) || strings.HasSuffix(string(s), "-") {
				t.Skip("a state that has an own rule")
			}
		}
		if len(c.In)+len(c.Out) == 0 {
			t.Skip("no contract")
		}
		got, err := ParseContract(c.String())
		if err != nil {
			t.Fatalf("%q: %v", c, err)
		}
		if got.String() != c.String() || got.Join != c.Join || !slices.Equal(got.In, c.In) || !slices.Equal(got.Out, c.Out) {
			t.Fatalf("%q came back as %q", c, got)
		}
	})
}

// FuzzParseContract: what is taken comes back from its own text.
func FuzzParseContract(f *testing.F) {
	for _, s := range []string{"A:B | C:D -> E:F", "-> X:Y", "X:Y ->", "A:B & C:D -> E:F", "A:B=>C:D", "Error:x -> A:B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseContract(s)
		if err != nil {
			return
		}
		if c.Injector() && c.Extractor() {
			t.Fatalf("%q gave a contract without states", s)
		}
		again, err := ParseContract(c.String())
		if err != nil || again.String() != c.String() {
			t.Fatalf("%q -> %q -> %q, %v", s, c, again, err)
		}
	})
}

func states(names ...packet.State) []packet.State { return names }
