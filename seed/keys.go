package seed

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/recap/pumpkin/packet"
)

// Limits of what a header may ask for.
const (
	MaxWorkers = 1024
	MaxRetries = 1000
	MinEvery   = 10 * time.Millisecond
)

// A key is one of the pmk- lines that a header may have.
type key struct {
	name     string
	injector bool // for injectors only
	process  bool // for process seeds only
	set      func(m *Manifest, value string) error
}

// knownKeys is every pmk- key, in the order in which they are applied.
func knownKeys() []key {
	return []key{
		{name: "pmk-name", set: func(m *Manifest, v string) error {
			m.Name = Name(v)
			return packet.CheckName("seed's name", v)
		}},
		{name: "pmk-about", set: func(m *Manifest, v string) error {
			m.About = v
			return nil
		}},
		{name: "pmk-group", set: func(m *Manifest, v string) error {
			m.Group = v
			return packet.CheckName("group", v)
		}},
		{name: "pmk-load", set: func(m *Manifest, v string) error {
			load, err := yesNo(v)
			m.OnRequest = !load
			return err
		}},
		{name: "pmk-spread", set: func(m *Manifest, v string) (err error) {
			m.Spread, err = yesNo(v)
			return err
		}},
		{name: workersKey, set: func(m *Manifest, v string) (err error) {
			m.Workers, err = number(v, 1, MaxWorkers)
			return err
		}},
		{name: "pmk-timeout", set: func(m *Manifest, v string) (err error) {
			m.Timeout, err = duration(v, time.Millisecond)
			return err
		}},
		{name: "pmk-idle", set: func(m *Manifest, v string) (err error) {
			if v == "never" {
				m.Idle = Never
				return nil
			}
			m.Idle, err = duration(v, time.Second)
			return err
		}},
		{name: "pmk-grace", set: func(m *Manifest, v string) (err error) {
			m.Grace, err = duration(v, time.Millisecond)
			return err
		}},
		{name: "pmk-retries", set: func(m *Manifest, v string) (err error) {
			if strings.IndexFunc(v, unicode.IsLetter) < 0 {
				m.Retries, err = number(v, 0, MaxRetries)
				return err
			}
			m.Retries = Unlimited
			m.RetryFor, err = duration(v, time.Second)
			return err
		}},
		{name: "pmk-mode", process: true, set: func(m *Manifest, v string) error {
			word, err := oneOf(v, string(Lines), string(Worker))
			m.Mode = Mode(word)
			if m.Mode == Lines && len(m.Contract.Out) > 1 {
				return fmt.Errorf("a line of output has no state of its own, and the contract %s has %d outputs; give one, or use pmk-mode: worker", m.Contract, len(m.Contract.Out))
			}
			return err
		}},
		{name: "pmk-data", set: func(m *Manifest, v string) error {
			word, err := oneOf(v, "bytes", "path")
			m.DataPath = word == "path"
			if m.DataPath && m.Mode == Lines {
				return errors.New("a seed with pmk-mode: lines reads its data from lines, not from a file")
			}
			return err
		}},
		{name: usesKey, set: func(m *Manifest, v string) (err error) {
			m.Uses, err = besideNames(v)
			return err
		}},
		{name: "pmk-every", injector: true, set: func(m *Manifest, v string) (err error) {
			m.Every, err = duration(v, MinEvery)
			return err
		}},
		{name: "pmk-once", injector: true, set: func(m *Manifest, v string) (err error) {
			m.Once, err = yesNo(v)
			if m.Once && m.Every > 0 {
				return errors.New("pmk-every repeats what pmk-once: yes runs once; drop one of them")
			}
			return err
		}},
	}
}

// apply checks that the key may stand on the seed m, and sets it.
func (k key) apply(m *Manifest, value string) error {
	switch {
	case value == "":
		return errors.New("the value is missing")
	case k.injector && !m.Contract.Injector():
		return fmt.Errorf("this is for injectors, and %s takes data", m.Contract)
	case k.process && m.Kind != Process:
		return fmt.Errorf("this is for executables, and this is a %s seed, which has long-lived workers anyway", m.Kind)
	}
	return k.set(m, value)
}

// keyNames is the names of all keys, the contract's first.
func keyNames() []string {
	names := []string{ContractKey}
	for _, k := range knownKeys() {
		names = append(names, k.name)
	}
	return names
}

// findKey is the key of that name, nil if there is none.
func findKey(name string) *key {
	for _, k := range knownKeys() {
		if k.name == name {
			return &k
		}
	}
	return nil
}

// workersKey is the key of the line that says how many workers a seed has.
const workersKey = "pmk-workers"

// usesKey is the key of the line that names what a seed uses beside its file.
const usesKey = "pmk-uses"

// besideNames reads names of files and folders beside the seed, and patterns of them.
func besideNames(v string) ([]string, error) {
	var names []string
	for name := range strings.FieldsSeq(v) {
		if strings.HasSuffix(name, ",") {
			return nil, fmt.Errorf("%q: names are separated by spaces", name)
		}
		clean := path.Clean(name)
		if _, err := path.Match(clean, ""); err != nil {
			return nil, fmt.Errorf("%q is no pattern: %w", name, err)
		}
		if path.IsAbs(clean) || clean == "." || clean == ".." || strings.HasPrefix(clean, "../") {
			return nil, fmt.Errorf("%q does not lie beside the seed; expected files or folders of its own folder, such as words.dat, data or *.csv", name)
		}
		names = append(names, clean)
	}
	return names, nil
}

func yesNo(v string) (bool, error) {
	word, err := oneOf(v, "yes", "no")
	return word == "yes", err
}

func oneOf(v string, words ...string) (string, error) {
	for _, w := range words {
		if v == w {
			return w, nil
		}
	}
	if near, ok := Nearest(v, words); ok {
		return "", fmt.Errorf("%q: did you mean %s?", v, near)
	}
	return "", fmt.Errorf("%q; expected %s", v, strings.Join(words, " or "))
}

func number(v string, low, high int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q; expected a whole number from %d to %d", v, low, high)
	}
	return n, nil
}

func duration(v string, low time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	switch {
	case err != nil || d < 0:
		if _, err := strconv.ParseFloat(v, 64); err == nil {
			return 0, fmt.Errorf("%q has no unit; did you mean %ss?", v, v)
		}
		return 0, fmt.Errorf("%q; expected a time with its unit, such as 500ms, 30s, 10m or 2h", v)
	case d < low:
		return 0, fmt.Errorf("%q; %v is the least", v, low)
	}
	return d, nil
}

// ContractKey is the key of the line that declares a seed: pmk: A:B -> C:D.
const ContractKey = "pmk"
