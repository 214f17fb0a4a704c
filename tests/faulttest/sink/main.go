// Command sink is the node of the tests in tests/faulttest: a pmk whose
// extractor notes every packet that arrives in the file $PMK_FAULT_SINK.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/recap/pumpkin"
)

func main() {
	pumpkin.Main(
		pumpkin.Transform("String:FAR -> String:RAW", pass).Named("carry"),
		pumpkin.Transform("String:RAW -> String:DONE", pass).Named("pass"),
		pumpkin.NewSeed("String:DONE ->", note).Named("note"),
	)
}

func pass(data string) string { return data }

// note appends one line in one write. A kill may cut it short all the same,
// at a page: so the line begins with a newline that ends such a stump, and
// ends with a mark that the stump lacks.
func note(_ context.Context, in pumpkin.Packet, _ pumpkin.Emit) error {
	file, err := os.OpenFile(os.Getenv("PMK_FAULT_SINK"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "\n%s %s .\n", in.ID, in.Data)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
