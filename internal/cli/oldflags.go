package cli

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
)

// An oldFlag is a flag of the old Pumpkin that is none of this one. It is
// accepted, so that old commands go on working, with a line that says what
// became of it.
type oldFlag struct {
	// Name is the flag without its dashes; of the two that only had a short
	// form it is that letter.
	Name string
	// Shorthand is its letter, "" for none.
	Shorthand string
	// TakesValue says that a value follows.
	TakesValue bool
	// Now says what replaced it, or that its purpose has gone.
	Now string
}

// noPlugins is the old flag that still does something.
const noPlugins = "noplugins"

// oldFlags are the flags of the old Pumpkin that are none of this one, in the
// order in which it listed them. docs/from-the-old-pumpkin.md says the same
// at more length.
func oldFlags() []oldFlag {
	const (
		alone    = "a node with a key (--key) says on the LAN that it is there, every 2 s on UDP port 7700; --endpoint.type ipc keeps it on its machine"
		noRabbit = "there is no RabbitMQ any more: packets wait in the node's store, and need no broker"
		noPort   = "--endpoint.type says how other nodes reach a node: ipc, or tcp with a key"
	)
	return []oldFlag{
		{Name: noPlugins, Now: "the seeds in the program are left out; name what to load instead: pmk PATH..., or --seed FILE for one seed"},
		{Name: "nobroadcast", TakesValue: true, Now: alone},
		{Name: "bcport", TakesValue: true, Now: alone},
		{Name: "broadcast", Now: alone},
		{Name: "supernode", Now: "every node is a peer; none is special"},
		{Name: "endpoints", TakesValue: true, Now: noPort},
		{Name: "endpoint.mode", TakesValue: true, Now: "the seeds pull, always: so a slow seed holds back those before it"},
		{Name: "shell", Now: "ask a running node from another terminal: pmk ps, pmk graph, pmk send"},
		{Name: "rest", Now: "packets are sent with pmk send STATE DATA"},
		{Name: "d", Shorthand: "d", TakesValue: true, Now: "a node runs in the foreground: let systemd, or a container, keep it"},
		{Name: "c", Shorthand: "c", TakesValue: true, Now: "there is no configuration file: what it held are flags"},
		{Name: "ack", Now: "a packet stays in the store until all that came of it is done, and a run that fails is tried again"},
		{Name: "persistent", Now: "packets are kept on disk, unless --durability says otherwise"},
		{Name: "brate", TakesValue: true, Now: alone},
		{Name: "ghost", Now: "any number of nodes run on one machine, without a flag"},
		{Name: "cores", TakesValue: true, Now: "a seed has a worker for each CPU; a line pmk-workers: N in its file says otherwise"},
		{Name: "profile", Now: "pmk bench measures a node; pmk ps counts what each seed does"},
		{Name: "rabbitmq_fallback", Now: noRabbit},
		{Name: "rabbitmq_broadcast", Now: noRabbit},
		{Name: "rbt_host", TakesValue: true, Now: noRabbit},
		{Name: "rbt_user", TakesValue: true, Now: noRabbit},
		{Name: "rbt_pass", TakesValue: true, Now: noRabbit},
		{Name: "rbt_vhost", TakesValue: true, Now: noRabbit},
		{Name: "gonzales", Now: "--durability none moves packets without the disk"},
		{Name: "buffer_size", TakesValue: true, Now: "queues are bounded by the work in them: a full one holds back the seeds before it"},
		{Name: "nocompress", Now: "nothing is compressed"},
	}
}

// warnOldConfig says of each configuration file of the old Pumpkin, here or in a folder of
// seeds, that it means nothing.
func warnOldConfig(paths []string, log *slog.Logger) {
	files := []string{"pumpkin.cfg"}
	for _, path := range paths {
		files = append(files, filepath.Join(path, "pumpkin.cfg"))
	}
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			log.Warn(file + " is not read: there is no configuration file; what it held are flags (pmk --help), which variables PUMPKIN_<FLAG> can set, too")
		}
	}
}
