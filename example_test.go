package pumpkin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin"
)

// A program whose main calls Main is all of pmk. Here it is asked for a picture of its
// network: it runs nothing for that.
func ExampleMain() {
	// func main() {
	//	pumpkin.Main(
	//		pumpkin.Inject("-> String:UNGREETED", func() string { return "World" }).Named("inject"),
	//		pumpkin.Transform("String:UNGREETED -> String:GREETING", greet).Named("greet"),
	//	)
	// }
	fmt.Print(runProgram("hello", "plan", "String:UNGREETED", "String:GREETING"))
	// Output: String:UNGREETED --greet--> String:GREETING
}

// The seeds of such a program make way for those that the command line names.
func ExampleMainStock() {
	// func main() {
	//	pumpkin.MainStock(pumpkin.Transform("String:UNGREETED -> String:GREETING", greet))
	// }
	fmt.Print(runProgram("stock", "check", "examples/helloworld/python"))
	// Output: 3 seeds, nothing found
}

func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> String:UNGREETED", func() string { return "World" }),
		pumpkin.Transform("String:UNGREETED -> String:GREETING", func(name string) string { return "Hello " + name }),
		pumpkin.Extract("String:GREETING ->", func(greeting string) {
			fmt.Println(greeting)
			stop() // of the whole node; a program that goes on leaves that to its own end
		}),
	)
	fmt.Println(err)
	// Output:
	// Hello World
	// <nil>
}

func ExampleNode() {
	greetings := make(chan string)
	node := pumpkin.New(pumpkin.Config{},
		pumpkin.Transform("String:UNGREETED -> String:GREETING", func(name string) string { return "Hello " + name }),
		pumpkin.Extract("String:GREETING ->", func(greeting string) { greetings <- greeting }),
	)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- node.Run(ctx) }()

	if _, err := node.Send(ctx, "String:UNGREETED", "Mars"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-greetings)
	stop()
	fmt.Println(<-ended)
	// Output:
	// Hello Mars
	// <nil>
}

// Packets of a node with a data folder survive the program. Here nobody takes one until
// the program starts again with a seed that does.
func ExampleConfig() {
	dir, err := os.MkdirTemp("", "pumpkin")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cfg := pumpkin.Config{Group: "archive", Data: dir}

	ctx, stop := context.WithCancel(context.Background())
	node := pumpkin.New(cfg)
	ended := make(chan error)
	go func() { ended <- node.Run(ctx) }()
	if _, err := node.Send(ctx, "Page:READ", "the first page"); err != nil {
		fmt.Println(err)
	}
	stop()
	fmt.Println(<-ended)

	ctx, stop = context.WithCancel(context.Background())
	err = pumpkin.Run(ctx, cfg, pumpkin.Extract("Page:READ ->", func(page string) {
		fmt.Println(page)
		stop()
	}))
	fmt.Println(err)
	// Output:
	// <nil>
	// the first page
	// <nil>
}

func ExampleNew() {
	node := pumpkin.New(pumpkin.Config{HTTP: "127.0.0.1:0"}, pumpkin.Extract("String:GREETING ->", func(string) {}))
	ctx, stop := context.WithCancel(context.Background())
	stop() // so that Run starts the node, and ends it
	fmt.Println(node.Run(ctx))
	fmt.Println(node.Run(ctx))
	// Output:
	// <nil>
	// the node has run already: make another with New
}

func ExampleNode_Run() {
	node := pumpkin.New(pumpkin.Config{Join: []string{"mars:7812"}})
	fmt.Println(node.Run(context.Background()))
	// Output: --join mars:7812: a node without a key does not leave its machine: make a key with 'pmk key new > lan.key', copy it to the other machines, and start every node with 'pmk --key lan.key'
}

func ExampleNode_Send() {
	ctx, stop := context.WithCancel(context.Background())
	node := pumpkin.New(pumpkin.Config{}, pumpkin.NewSeed("Reading:RAW ->",
		func(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
			fmt.Println(in.Attributes()["sample"], in.Data)
			stop()
			return nil
		}))
	ended := make(chan error)
	go func() { ended <- node.Run(ctx) }()
	id, err := node.Send(ctx, "Reading:RAW", "21.5", pumpkin.Attributes{"sample": "S07"})
	<-ended
	fmt.Println(len(id.String()), err)

	_, err = node.Send(context.Background(), "Reading:RAW", "22.0")
	fmt.Println(err)
	// Output:
	// S07 21.5
	// 32 <nil>
	// send Reading:RAW: the node has ended
}

func ExampleNewSeed() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Number:READ", func() int { return 7 }),
		pumpkin.NewSeed("Number:READ -> Number:EVEN | Number:ODD",
			func(_ context.Context, in pumpkin.Packet, emit pumpkin.Emit) error {
				n, err := strconv.Atoi(in.Data)
				switch {
				case err != nil:
					return err // the packet's failure
				case n%2 == 0:
					return emit("EVEN", in.Data)
				}
				return emit("ODD", in.Data)
			}).Named("sort"),
		pumpkin.Extract("Number:ODD ->", func(n int) {
			fmt.Println(n, "is odd")
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// 7 is odd
	// <nil>
}

// Arguments and results are strings, bytes, or what encoding/json reads and writes.
func ExampleTransform() {
	type point struct{ X, Y int }
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Point:READ", func() string { return `{"X": 3, "Y": 4}` }),
		pumpkin.Transform("Point:READ -> Point:TURNED", func(p point) point { return point{X: -p.Y, Y: p.X} }),
		pumpkin.Extract("Point:TURNED ->", func(text []byte) {
			fmt.Printf("%s\n", text)
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// {"X":-4,"Y":3}
	// <nil>
}

func ExampleInject() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> String:UNGREETED", func() string { return "World" }),
		pumpkin.Extract("String:UNGREETED ->", func(name string) {
			fmt.Println(name)
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// World
	// <nil>
}

func ExampleExtract() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Number:READ", func() []int { return []int{1, 2, 3} }),
		pumpkin.Extract("Number:READ ->", func(numbers []int) {
			fmt.Println(numbers[2])
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// 3
	// <nil>
}

func ExampleEmit() {
	ctx, stop := context.WithCancel(context.Background())
	words := func(_ context.Context, in pumpkin.Packet, emit pumpkin.Emit) error {
		for _, word := range strings.Fields(in.Data) {
			if err := emit("", word, pumpkin.Attributes{"length": strconv.Itoa(len(word))}); err != nil {
				return err
			}
		}
		return nil
	}
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Text:READ", func() string { return "to be" }),
		pumpkin.NewSeed("Text:READ -> Text:WORD", words),
		pumpkin.NewSeed("Text:WORD ->", func(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
			fmt.Println(in.Data, in.Attributes()["length"])
			stop()
			return nil
		}).Workers(1),
	)
	fmt.Println(err)
	// Unordered output:
	// to 2
	// be 2
	// <nil>
}

func ExampleEmitAll() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.NewSeed("-> Number:READ", func(ctx context.Context, _ pumpkin.Packet, _ pumpkin.Emit) error {
			defer stop()
			return pumpkin.EmitAll(ctx, "READ", "1", "2", "3")
		}),
		pumpkin.Extract("Number:READ ->", func(n int) { fmt.Println(n) }),
	)
	fmt.Println(err)
	// Unordered output:
	// 1
	// 2
	// 3
	// <nil>
}

func ExamplePacket() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Number:READ", func() int { return 7 }).Named("count"),
		pumpkin.NewSeed("Number:READ ->", func(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
			fmt.Println(in.State, in.Data, in.Attempt)
			stop()
			return nil
		}),
	)
	fmt.Println(err)
	// Output:
	// Number:READ 7 0
	// <nil>
}

func ExampleState() {
	state := pumpkin.State("Tweet:ENGLISH")
	fmt.Println(state.Type(), state.Name())
	// Output: Tweet ENGLISH
}

func ExampleAttributes() {
	attributes := pumpkin.Attributes{"sample": "S07", "lane": "3"}
	fmt.Println(attributes.With(pumpkin.Attributes{"lane": "4"}))
	// Output: map[lane:4 sample:S07]
}

// A function that returns an Output says more of it than its data.
func ExampleOutput() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Reading:RAW", func() pumpkin.Output {
			return pumpkin.Output{State: "RAW", Data: "21.5", Attributes: pumpkin.Attributes{"sample": "S07"}}
		}),
		pumpkin.NewSeed("Reading:RAW ->", func(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
			fmt.Println(in.Attributes()["sample"], in.Data)
			stop()
			return nil
		}),
	)
	fmt.Println(err)
	// Output:
	// S07 21.5
	// <nil>
}

// A seed says what it does when and how often; what is not said is as for other seeds.
func ExampleSeed() {
	seed := pumpkin.Transform("String:UNGREETED -> String:GREETING", func(name string) string { return "Hello " + name }).
		Named("greet").About("Greets by name.").Workers(2).Retries(1).Timeout(time.Minute)
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{}, seed,
		pumpkin.Inject("-> String:UNGREETED", func() string { return "World" }),
		pumpkin.Extract("String:GREETING ->", func(greeting string) {
			fmt.Println(greeting)
			stop()
		}))
	fmt.Println(err)
	// Output:
	// Hello World
	// <nil>
}

// A seed's name is what its dead letters are called by.
func ExampleSeed_Named() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Text:RAW", func() string { return "seven" }),
		pumpkin.Transform("Text:RAW -> Number:READ", func(n int) int { return n }).Named("read").Retries(0),
		pumpkin.Extract("Error:read ->", func(data string) {
			fmt.Println("not read:", data)
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// not read: seven
	// <nil>
}

func ExampleSeed_About() {
	// The program of ExampleMain, whose greet says About("Greets by name.").
	fmt.Println(strings.Contains(runProgram("hello", "graph", "--json"), "Greets by name."))
	// Output: true
}

func ExampleSeed_Workers() {
	ctx, stop := context.WithCancel(context.Background())
	sum := 0 // needs no lock: one worker runs the seed
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.NewSeed("-> Number:READ", func(ctx context.Context, _ pumpkin.Packet, _ pumpkin.Emit) error {
			defer stop()
			return pumpkin.EmitAll(ctx, "READ", "1", "2", "3")
		}),
		pumpkin.Extract("Number:READ ->", func(n int) { sum += n }).Workers(1),
	)
	fmt.Println(sum, err)
	// Output: 6 <nil>
}

// Another attempt would not mend the data, so there is none.
func ExampleFail() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Text:RAW", func() string { return "seven" }),
		pumpkin.NewSeed("Text:RAW -> Number:READ", func(_ context.Context, in pumpkin.Packet, emit pumpkin.Emit) error {
			if _, err := strconv.Atoi(in.Data); err != nil {
				return pumpkin.Fail(err)
			}
			return emit("", in.Data)
		}).Named("read"),
		pumpkin.Extract("Error:read ->", func(data string) {
			fmt.Println("not read:", data)
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// not read: seven
	// <nil>
}

// The server says when it is there again.
func ExampleRetry() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Number:READ", func() int { return 7 }),
		pumpkin.NewSeed("Number:READ ->", func(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
			if in.Attempt == 0 {
				return pumpkin.Retry(errors.New("the server starts"), 10*time.Millisecond)
			}
			fmt.Println("stored", in.Data)
			stop()
			return nil
		}),
	)
	fmt.Println(err)
	// Output:
	// stored 7
	// <nil>
}

// The database may be away over night.
func ExampleSeed_RetryFor() {
	seed := pumpkin.Extract("Number:READ ->", func(n int) { fmt.Println("stored", n) }).RetryFor(12 * time.Hour)
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{}, seed,
		pumpkin.NewSeed("-> Number:READ", func(_ context.Context, _ pumpkin.Packet, emit pumpkin.Emit) error {
			defer stop()
			return emit("", "7")
		}))
	fmt.Println(err)
	// Output:
	// stored 7
	// <nil>
}

func ExampleSeed_Retries() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Number:READ", func() int { return 7 }),
		pumpkin.NewSeed("Number:READ ->", func(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
			fmt.Println("attempt", in.Attempt)
			return errors.New("not today")
		}).Named("store").Retries(1),
		pumpkin.Extract("Error:store ->", func(data string) {
			fmt.Println("gave up", data)
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// attempt 0
	// attempt 1
	// gave up 7
	// <nil>
}

func ExampleSeed_Timeout() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Number:READ", func() int { return 7 }),
		pumpkin.NewSeed("Number:READ ->", func(ctx context.Context, _ pumpkin.Packet, _ pumpkin.Emit) error {
			<-ctx.Done() // after its time-out
			return ctx.Err()
		}).Named("wait").Timeout(10*time.Millisecond).Retries(0),
		pumpkin.Extract("Error:wait ->", func(data string) {
			fmt.Println("took too long:", data)
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// took too long: 7
	// <nil>
}

func ExampleSeed_Every() {
	ctx, stop := context.WithCancel(context.Background())
	ticks := 0
	err := pumpkin.Run(ctx, pumpkin.Config{},
		pumpkin.Inject("-> Time:TICK", func() string { return "tick" }).Every(time.Millisecond),
		pumpkin.Extract("Time:TICK ->", func(tick string) {
			if ticks++; ticks <= 3 {
				fmt.Println(tick)
			}
			if ticks == 3 {
				stop()
			}
		}).Workers(1),
	)
	fmt.Println(err)
	// Output:
	// tick
	// tick
	// tick
	// <nil>
}

// With a data folder, the injector does not run again when the program starts again.
func ExampleSeed_Once() {
	dir, err := os.MkdirTemp("", "pumpkin")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(context.Background())
	err = pumpkin.Run(ctx, pumpkin.Config{Data: dir},
		pumpkin.Inject("-> Row:OLD", func() string { return "what there was before" }).Named("old-rows").Once(),
		pumpkin.Extract("Row:OLD ->", func(row string) {
			fmt.Println(row)
			stop()
		}),
	)
	fmt.Println(err)
	// Output:
	// what there was before
	// <nil>
}

// Replicas of a seed that spreads take packets in turn, here on two nodes of one machine.
func ExampleSeed_Spread() {
	ctx, stop := context.WithCancel(context.Background())
	cfg := pumpkin.Config{Group: "spread"}
	var nodes [2]*pumpkin.Node
	ran, ended := make(chan int), make(chan error)
	for i := range nodes {
		nodes[i] = pumpkin.New(cfg, pumpkin.Extract("Number:READ ->", func(string) {
			select {
			case ran <- i:
			case <-ctx.Done():
			}
		}).Named("work").Spread())
		go func() { ended <- nodes[i].Run(ctx) }()
	}
	go func() { // until both have had one
		for ctx.Err() == nil {
			nodes[0].Send(ctx, "Number:READ", "7") // its error is the context's end
		}
	}()
	var had [2]bool
	for had != [2]bool{true, true} {
		had[<-ran] = true
	}
	stop()
	fmt.Println(<-ended, <-ended)
	// Output: <nil> <nil>
}

func ExampleSeed_Group() {
	ctx, stop := context.WithCancel(context.Background())
	err := pumpkin.Run(ctx, pumpkin.Config{Group: "public"},
		pumpkin.Inject("-> Page:READ", func() string { return "the first page" }),
		pumpkin.Extract("Page:READ ->", func(string) { fmt.Println("of the public") }).Group("staff").Named("proof"),
		pumpkin.Extract("Page:READ ->", func(page string) {
			fmt.Println(page)
			stop()
		}).Group("public"),
	)
	fmt.Println(err)
	// Output:
	// the first page
	// <nil>
}
