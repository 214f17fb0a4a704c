// Command pmk is a Pumpkin node with the hello world seeds compiled in. In any
// folder, without arguments, it prints "Greeting: Hello World".
package main

import (
	"fmt"

	"github.com/recap/pumpkin"
)

func main() {
	pumpkin.MainStock(
		pumpkin.Inject("-> String:UNGREETED", inject),
		pumpkin.Transform("String:UNGREETED -> String:GREETING", greet),
		pumpkin.Extract("String:GREETING ->", extract),
	)
}

func inject() string { return "World" }

func greet(name string) string { return "Hello " + name }

func extract(greeting string) { fmt.Println("Greeting:", greeting) }
