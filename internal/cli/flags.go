package cli

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/recap/pumpkin/packet"
)

// Flags that refuse what they cannot mean while the command line is read, so
// that nothing has been touched by then.

// A sizeFlag is a number of bytes: 1GiB, 500MB, 4096.
type sizeFlag int64

func (f *sizeFlag) String() string {
	if *f == 0 {
		return ""
	}
	return humanize.IBytes(uint64(*f))
}

func (f *sizeFlag) Set(s string) error {
	n, err := humanize.ParseBytes(s)
	if err != nil || n == 0 || n > 1<<62 {
		return fmt.Errorf("%q is not a size; expected a number of bytes such as 500MB or 2GiB", s)
	}
	*f = sizeFlag(n)
	return nil
}

func (*sizeFlag) Type() string { return "SIZE" }

// A nameFlag is the name of a group or a seed.
type nameFlag string

func (f *nameFlag) String() string { return string(*f) }

func (f *nameFlag) Set(s string) error {
	if err := packet.CheckName("name", s); err != nil {
		return err
	}
	*f = nameFlag(s)
	return nil
}

func (*nameFlag) Type() string { return "NAME" }

// A dirFlag is a folder. An empty one comes of a variable that is not set, and
// is not the same as no flag.
type dirFlag string

func (f *dirFlag) String() string { return string(*f) }

func (f *dirFlag) Set(s string) error {
	if s == "" {
		return errors.New("it is empty; name a folder, or leave the flag out")
	}
	*f = dirFlag(s)
	return nil
}

func (*dirFlag) Type() string { return "DIR" }
