package cli

import (
	"fmt"
	"strings"

	"github.com/recap/pumpkin/packet"
)

// An attributesFlag is a flag NAME=VALUE that may be given for each attribute.
type attributesFlag struct{ all packet.Attributes }

func (f *attributesFlag) String() string { return f.all.Text() }

func (f *attributesFlag) Type() string { return "NAME=VALUE" }

func (f *attributesFlag) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("expected NAME=VALUE, such as sample=S07")
	}
	if _, twice := f.all[name]; twice {
		return fmt.Errorf("the attribute %s is given twice", name)
	}
	all := f.all.With(packet.Attributes{name: value})
	if err := all.Check(); err != nil {
		return err
	}
	f.all = all
	return nil
}
