package cli

import (
	"github.com/spf13/pflag"

	"github.com/recap/pumpkin/internal/node"
)

// meaningless are the flags to which those on the command line leave no meaning, each with
// one of those: a variable does not set them. What the command line itself gives in vain is
// an error of its own.
func meaningless(flags *pflag.FlagSet) map[string]string {
	clustered := []string{"store", "store-creds", "store-ca", "store-cert", "store-key"}
	apart := []string{"data", "durability", "key", "join", "advertise", "endpoint.type"}
	out := map[string]string{}
	given := func(name string) bool {
		f := flags.Lookup(name)
		return f != nil && f.Changed
	}
	leave := func(with string, names ...string) {
		for _, name := range names {
			out[name] = "--" + with
		}
	}
	onDisk := given("durability") && flags.Lookup("durability").Value.String() == node.Disk.String()
	for _, name := range apart {
		if given(name) && !(name == "durability" && onDisk) {
			leave(name, clustered...)
		}
	}
	if given("store") {
		leave("store", apart...)
	}
	if given("durability") && !onDisk {
		leave("durability "+flags.Lookup("durability").Value.String(), "data")
	}
	if given("data") {
		leave("data", "durability")
	}
	return out
}
