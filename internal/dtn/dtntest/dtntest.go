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
//	name[@node][,file:line]: contract
//
// The node is "n1" and the file <name>.py, line 1, where they are left out.
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
		if node == "" {
			node = "n1"
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
		hosted = append(hosted, dtn.Hosted{Node: node, Manifest: m})
	}
	return hosted, nil
}
