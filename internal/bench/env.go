package bench

import (
	"context"
	"maps"
	"time"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/gofn"
	"github.com/recap/pumpkin/seed"
)

// A Result is one figure.
type Result struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
}

// Env is what the measurements need from outside.
type Env struct {
	// Kinds run seeds in files.
	Kinds runner.Kinds
	// Load reads a seed file's manifest.
	Load func(path string) (seed.Manifest, error)
	// For is how long each throughput is measured; 0 means 2 s.
	For time.Duration
}

// with are the kinds, with these functions as seeds in Go.
func (e Env) with(of func(seed.Manifest) gofn.Func) runner.Kinds {
	kinds := maps.Clone(e.Kinds)
	if kinds == nil {
		kinds = runner.Kinds{}
	}
	kinds[seed.Go] = gofn.Kind(of)
	return kinds
}

func (e Env) span() time.Duration {
	if e.For > 0 {
		return e.For
	}
	return 2 * time.Second
}

// A Bench is one measurement, which gives one or more figures.
type Bench struct {
	Name  string
	About string
	Run   func(context.Context, Env) ([]Result, error)
}
