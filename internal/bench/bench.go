// Package bench measures a node with the chain inject -> transform -> extract
// of 128-byte texts, in each kind of seed, beside what the machine can do
// without a node. The result of every packet is counted and checked.
package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// A Machine says where the figures come from.
type Machine struct {
	Name string `json:"name"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// All lists the measurements in the order in which they are run. Those that are not
// among the usual take long.
func All() []Bench {
	return append(Usual(),
		besideFsync(Bench{"ingest.files", "300,000 small files in a watched folder, with a store on disk; only when it is named", ingestFiles}),
		Bench{"predict", "how far predictions are off, for seeds that hash 10 B to 1 MB; only when it is named", predictions})
}

// Usual lists those that are run when none is named.
func Usual() []Bench {
	return []Bench{
		{"chain.none", "Go seeds in memory, beside bare channels", chainNone},
		{"chain.none.read", "chain.none while somebody reads the events of the network", chainRead},
		{"latency.none", "chain.none at 1,000 packets/s", latencyNone},
		besideFsync(Bench{"chain.disk", "Go seeds with a store on disk, 16 senders of 64 packets at a time", chainDisk}),
		besideFsync(Bench{"chain.disk.many", "100 chains on one node, each with one sender of one packet at a time", chainDiskMany}),
		besideFsync(Bench{"latency.disk", "one chain at 1,000 packets/s", latencyDisk}),
		besideFsync(Bench{"ingest.http", "200 connections that each POST one packet at a time, with a store on disk", ingestHTTP}),
		{"chain.memory", "Go seeds with a store in memory, 16 senders of 64 packets at a time", chainMemory},
		{"chain.python", "one Python transform, one worker", chainPython},
		{"latency.python", "chain.python at 1,000 packets/s", latencyPython},
		{"chain.process", "one process a packet, beside bare fork+exec", chainProcess},
		{"chain.lines", "lines mode through sed -u, beside sed -u alone", chainLines},
		{"chain.lines.buffered", "lines mode through stdbuf -oL sed, beside that alone", chainLinesBuffered},
		{"chain.lines.python", "lines mode through a Python loop", chainLoop},
		{"start", "this binary from its start until it is ready, and to the greeting", start},
	}
}

// Select is those of the measurements that have these names, or all; a name also
// stands for those that it begins: "latency" for latency.none and latency.python.
// Each is there once.
func Select(all []Bench, names []string) ([]Bench, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, b := range all {
		known = append(known, b.Name)
	}
	var out []Bench
	taken := map[string]bool{}
	for _, name := range names {
		found := false
		for _, b := range all {
			if b.Name != name && !strings.HasPrefix(b.Name, name+".") {
				continue
			}
			if found = true; !taken[b.Name] {
				out, taken[b.Name] = append(out, b), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no benchmark %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return out, nil
}

// ThisMachine describes the machine.
func ThisMachine() Machine {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return Machine{
		Name: name, OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel(),
		CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(),
	}
}

// cpuModel is the processor's name as Linux gives it, else "".
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
