package bench

import (
	"context"
	"time"

	"github.com/recap/pumpkin/internal/runner"
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
	// Open makes the runners of seeds in files.
	Open runner.Opener
	// Load reads a seed file's manifest.
	Load func(path string) (seed.Manifest, error)
	// For is how long each throughput is measured; 0 means 2 s.
	For time.Duration
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
