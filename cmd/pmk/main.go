// Command pmk is a Pumpkin node with the hello world seeds compiled in. In any
// folder, without arguments, it prints "Greeting: Hello World".
package main

import (
	"context"
	"fmt"

	"github.com/recap/pumpkin"
)

func main() {
	pumpkin.MainStock(
		pumpkin.Inject("-> String:UNGREETED", inject),
		pumpkin.Transform("String:UNGREETED -> String:GREETING", greet),
		pumpkin.NewSeed("String:GREETING ->", extract),
	)
}

func inject() string { return "World" }

func greet(name string) string { return "Hello " + name }

// extract fails where nobody can read what it prints: that packet is not done.
func extract(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
	_, err := fmt.Println("Greeting:", in.Data)
	return pumpkin.Retry(err, 0)
}
