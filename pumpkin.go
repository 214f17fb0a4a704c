// Package pumpkin makes any Go program a node of a Data Transformation
// Network, with seeds of its own compiled in:
//
//	func main() {
//		pumpkin.Main(
//			pumpkin.Inject("-> String:UNGREETED", func() string { return "World" }),
//			pumpkin.Transform("String:UNGREETED -> String:GREETING", func(name string) string { return "Hello " + name }),
//			pumpkin.Extract("String:GREETING ->", func(greeting string) { fmt.Println("Greeting:", greeting) }),
//		)
//	}
//
// That program is all of pmk. [New] and [Run] make a node a part of any other program.
//
// A seed's function is called by several goroutines at a time, one per CPU
// unless [Seed.Workers] says otherwise. An output may be run on by the next
// seed before the call that gave it returns: give none while holding a lock
// that another seed takes.
package pumpkin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/cli"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// Packet is one piece of data, its state and its history.
type Packet = packet.Packet

// State is what data is at a point of its way: Type:NAME.
type State = packet.State

// Attributes are short texts by name that travel with a packet and are inherited
// by what comes of it; see [Packet.Attributes]. A name is a lower-case letter,
// then lower-case letters, digits and '_'.
type Attributes = packet.Attributes

// Output is one output with its attributes, for functions that [Transform] and
// [Inject] take.
type Output = packet.Output

// Emit gives one output and returns when the network had room for it; what an
// injector gives is then as safe as the node's durability says. The state is
// NAME, Type:NAME, or "" for the contract's only output. Attributes that are
// given, Attributes{"sample": "S07"}, change and extend those that the output
// inherits. Its error ends the run: return it. It is for the goroutine that the seed was called on,
// except that an injector without a time-out may call it from several at a time: their packets
// reach the disk together.
type Emit = gofn.Emit

// EmitAll gives an output of an injector for each data, and returns when all of
// them are as safe as the node's durability says: where packets rest on disk, they
// share what one emit after the other would wait for. ctx is that of the run.
func EmitAll(ctx context.Context, state State, data ...string) error {
	return gofn.EmitAll(ctx, state, data...)
}

// A Seed is one function with a contract.
type Seed struct {
	manifest seed.Manifest
	fn       gofn.Func
}

// Main runs the command line of pmk with these seeds compiled in, and exits.
// Call it first thing in main. It panics if two seeds have one name, or one says Once
// and is no injector or has Every as well, since that is a mistake of the program.
func Main(seeds ...Seed) {
	supervise.Main()
	supervise.AsInit()
	os.Exit(cli.Main(context.Background(), program(seeds, false)))
}

// MainStock is [Main] for seeds that a path, --taskdir or --seed on the
// command line replaces.
func MainStock(seeds ...Seed) {
	supervise.Main()
	supervise.AsInit()
	os.Exit(cli.Main(context.Background(), program(seeds, true)))
}

func program(seeds []Seed, stock bool) cli.Program {
	p := cli.Program{Stock: stock}
	names := map[seed.Name]bool{}
	for _, s := range seeds {
		if names[s.manifest.Name] {
			panic(fmt.Sprintf("pumpkin: two seeds have the name %s: set one apart with Named", s.manifest.Name))
		}
		names[s.manifest.Name] = true
		if m := s.manifest; m.Once && (m.Every > 0 || !m.Contract.Injector()) {
			panic(fmt.Sprintf("pumpkin: seed %s: Once is for injectors without Every", m.Name))
		}
		p.Seeds = append(p.Seeds, cli.GoSeed{Manifest: s.manifest, Run: s.fn})
	}
	return p
}

// Fail is a failure that no other attempt would mend, such as data that makes no sense: the
// packet is a dead letter at once. Of an injector it is the end. Errors that wrap it mean
// the same. Fail(nil) is nil.
func Fail(err error) error {
	if err == nil {
		return nil
	}
	return &runner.Fault{Reason: err.Error(), Final: true, Err: err}
}

// Retry is a failure of what the seed needs, such as a server that does not answer: the
// packet is tried again after that time, 0 for the usual pause. That counts as an attempt.
// Errors that wrap it mean the same. Retry(nil, ...) is nil.
func Retry(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &runner.Fault{Reason: err.Error(), Later: true, After: after, Err: err}
}

// NewSeed makes a seed of a function in its full form: for several outputs, several
// states, errors, or an injector that goes on. A returned error is the packet's
// failure; so is a panic. It panics, as all that make seeds do, if the contract is
// malformed.
func NewSeed(contract string, fn func(ctx context.Context, in Packet, emit Emit) error) Seed {
	c, err := seed.ParseContract(contract)
	if err != nil {
		panic("pumpkin: " + err.Error())
	}
	return Seed{
		manifest: seed.Manifest{
			Name: defaultName(fn, c), Kind: seed.Go, Contract: c, Retries: c.DefaultRetries(),
		},
		fn: fn,
	}
}

// Transform makes a seed that gives one output for each input. I and O are
// string, []byte, or any type that encoding/json reads and writes; O may also be
// [Output].
func Transform[I, O any](contract string, fn func(I) O) Seed {
	decode, encode := decoder[I](), encoder[O]()
	s := NewSeed(contract, func(_ context.Context, in Packet, emit Emit) error {
		value, err := decode(in.Data)
		if err != nil {
			return err
		}
		out, err := encode(fn(value))
		if err != nil {
			return err
		}
		return give(emit, out)
	})
	return s.shape(fn, true, true)
}

// Inject makes a seed that gives one packet when the node starts. O is as for
// [Transform].
func Inject[O any](contract string, fn func() O) Seed {
	encode := encoder[O]()
	s := NewSeed(contract, func(_ context.Context, _ Packet, emit Emit) error {
		out, err := encode(fn())
		if err != nil {
			return err
		}
		return give(emit, out)
	})
	return s.shape(fn, false, true)
}

// Extract makes a seed that takes data and gives none. I is as for
// [Transform].
func Extract[I any](contract string, fn func(I)) Seed {
	decode := decoder[I]()
	s := NewSeed(contract, func(_ context.Context, in Packet, _ Emit) error {
		value, err := decode(in.Data)
		if err != nil {
			return err
		}
		fn(value)
		return nil
	})
	return s.shape(fn, true, false)
}

// shape holds the contract against the form of the function, and names the seed
// for the function that the user wrote.
func (s Seed) shape(fn any, in, out bool) Seed {
	c := s.manifest.Contract
	if (len(c.In) > 0) != in || (len(c.Out) == 1) != out || len(c.Out) > 1 {
		panic(fmt.Sprintf("pumpkin: the contract %q does not fit a func of the form %T; NewSeed takes any", c, fn))
	}
	s.manifest.Name = defaultName(fn, c)
	return s
}

// Named sets the seed's name. Without it a seed bears the name of its function,
// or, for a function literal, one made from its contract.
func (s Seed) Named(name string) Seed {
	if err := packet.CheckName("seed's name", name); err != nil {
		panic("pumpkin: " + err.Error())
	}
	s.manifest.Name = seed.Name(name)
	return s
}

// About sets one sentence for people.
func (s Seed) About(sentence string) Seed {
	s.manifest.About = sentence
	return s
}

// Workers sets how many goroutines may run the seed at a time; 0 means one per
// CPU.
func (s Seed) Workers(n int) Seed {
	s.manifest.Workers = n
	return s
}

// Retries sets how many times a packet is tried again after its first run failed; the default is 5,
// after pauses of 1 s, 5 s, 20 s, 1 min and 3 min.
// It also bounds how many times in a row an injector that fails is started again; without it
// there is no bound.
func (s Seed) Retries(n int) Seed {
	s.manifest.Retries = n
	return s
}

// RetryFor has a packet tried again, in place of a number of times, for so long after its
// first run failed.
func (s Seed) RetryFor(d time.Duration) Seed {
	s.manifest.Retries, s.manifest.RetryFor = seed.Unlimited, d
	return s
}

// Timeout sets the longest run. A Go function cannot be ended from outside:
// one that exceeds it is left behind, with its context ended.
func (s Seed) Timeout(d time.Duration) Seed {
	s.manifest.Timeout = d
	return s
}

// Every runs an injector again and again, d after it was last due.
func (s Seed) Every(d time.Duration) Seed {
	s.manifest.Every = d
	return s
}

// Once has an injector not run again after it has ended once, as its node's store
// remembers by the seed's name: on disk for good, in memory until the program ends.
func (s Seed) Once() Seed {
	s.manifest.Once = true
	return s
}

// Spread has every replica of the seed in the network take packets in turn, instead
// of the nearest.
func (s Seed) Spread() Seed {
	s.manifest.Spread = true
	return s
}

// Group sets the group that the seed belongs to: a node of another leaves it out.
func (s Seed) Group(name string) Seed {
	if err := packet.CheckName("group", name); err != nil {
		panic("pumpkin: " + err.Error())
	}
	s.manifest.Group = name
	return s
}

// defaultName is the name of fn, or, for a literal, one from the contract: what
// it gives, else what it takes.
func defaultName(fn any, c seed.Contract) seed.Name {
	if f := runtime.FuncForPC(reflect.ValueOf(fn).Pointer()); f != nil {
		name := f.Name()[strings.LastIndexByte(f.Name(), '/')+1:]
		_, name, _ = strings.Cut(name, ".")
		if packet.CheckName("function", name) == nil {
			return seed.Name(name)
		}
	}
	if len(c.Out) > 0 {
		return seed.Name("give-" + strings.ToLower(c.Out[0].Name()))
	}
	return seed.Name("take-" + strings.ToLower(c.In[0].Name()))
}

// decoder is how data becomes a T.
func decoder[T any]() func(string) (T, error) {
	var zero T
	switch any(zero).(type) {
	case string:
		return func(data string) (T, error) { return any(data).(T), nil }
	case []byte:
		return func(data string) (T, error) { return any([]byte(data)).(T), nil }
	}
	return func(data string) (T, error) {
		var value T
		if err := json.Unmarshal([]byte(data), &value); err != nil {
			return value, fmt.Errorf("data is not a JSON %T: %w", value, err)
		}
		return value, nil
	}
}

// encoder is how a T becomes an output.
func encoder[T any]() func(T) (Output, error) {
	var zero T
	switch any(zero).(type) {
	case string:
		return func(value T) (Output, error) { return Output{Data: any(value).(string)}, nil }
	case []byte:
		return func(value T) (Output, error) { return Output{Data: string(any(value).([]byte))}, nil }
	case Output:
		return func(value T) (Output, error) { return any(value).(Output), nil }
	}
	return func(value T) (Output, error) {
		data, err := json.Marshal(value)
		return Output{Data: string(data)}, err
	}
}

// give emits an output.
func give(emit Emit, out Output) error {
	if len(out.Attributes) == 0 {
		return emit(out.State, out.Data)
	}
	return emit(out.State, out.Data, out.Attributes)
}
