// Package dtntest reads networks that tests write as text.
package dtntest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/recap/pumpkin/internal/dtn"
	"github.com/recap/pumpkin/seed"
)

// Parse reads one hosted seed a line:
//
//	name[@node[+since]][,file:line]: contract
//
// The node is "n1", since 0 and the file <name>.py, line 1, where they are left
// out.
// Empty lines and lines that begin with # are skipped.
func Parse(text string) ([]dtn.Hosted, error) {
	var hosted []dtn.Hosted
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		head, contract, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("%q has no colon and space; expected name: contract", line)
		}
		head, place, _ := strings.Cut(head, ",")
		name, node, _ := strings.Cut(head, "@")
		node, since, _ := strings.Cut(node, "+")
		if node == "" {
			node = "n1"
		}
		var age int64
		if since != "" {
			var err error
			if age, err = strconv.ParseInt(since, 10, 64); err != nil {
				return nil, fmt.Errorf("%q: since %q: %w", line, since, err)
			}
		}
		file, number, _ := strings.Cut(place, ":")
		if place == "" {
			file, number = name+".py", "1"
		}
		at, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("%q: line %q: %w", line, number, err)
		}
		c, err := seed.ParseContract(contract)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		m := seed.Manifest{Name: seed.Name(name), Contract: c, File: file, Line: at}
		hosted = append(hosted, dtn.Hosted{Node: node, Manifest: m, Since: age})
	}
	return hosted, nil
}
