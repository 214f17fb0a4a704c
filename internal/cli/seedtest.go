package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/load"
	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// A goldenCase is one packet in and what the seed is to make of it, as it
// stands in a seed's golden file: greet.golden.json beside greet.py.
type goldenCase struct {
	In    *goldenPacket  `json:"in,omitempty"` // absent for an injector
	Out   []goldenPacket `json:"out"`
	Error string         `json:"error,omitempty"` // the run fails with this
}

// A goldenPacket is a packet of a golden file. Data that is not text stands in
// Base64.
type goldenPacket struct {
	State      packet.State      `json:"state"`
	Data       string            `json:"data,omitempty"`
	Base64     []byte            `json:"base64,omitempty"`
	Attributes packet.Attributes `json:"attributes,omitempty"`
}

func golden(state packet.State, data string, attributes packet.Attributes) goldenPacket {
	g := goldenPacket{State: state, Attributes: attributes}
	if utf8.ValidString(data) {
		g.Data = data
	} else {
		g.Base64 = []byte(data)
	}
	return g
}

func (g goldenPacket) data() string {
	if len(g.Base64) > 0 {
		return string(g.Base64)
	}
	return g.Data
}

func (g goldenPacket) String() string {
	text := g.data()
	if len(text) > 200 {
		text = text[:200] + "..."
	}
	text = fmt.Sprintf("%s %q", g.State, text)
	for _, name := range slices.Sorted(maps.Keys(g.Attributes)) {
		text += fmt.Sprintf(" %s=%q", name, g.Attributes[name])
	}
	return text
}

// maxGoldenOutputs bounds what one case may give: an injector may never end.
const maxGoldenOutputs = 1000

// goldenFile is where a seed file's cases are.
func goldenFile(path string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + ".golden.json"
}

func (a *app) seedTestCommand() *cobra.Command {
	var update, asJSON bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "test PATH...",
		Short: "Run seeds on golden packets and compare what they give",
		Long: `test runs each seed on the packets of the golden file beside it and compares
what it gives. greet.py has greet.golden.json, a list of cases:

  [{"in": {"state": "String:UNGREETED", "data": "Mars"},
    "out": [{"state": "String:GREETING", "data": "Hello Mars"}]}]

"error" instead of "out" means that the run fails with this error; "base64"
instead of "data" holds data that is not text; "attributes", {"sample": "S07"},
are those of the packet, set or inherited. A PATH is a seed file or a folder; of a
folder, the seeds that have a golden file are tested.`,
		Example: "  pmk seed test greet.py\n  pmk seed test seeds/\n  pmk seed test --update greet.py     write what the seed gives now",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, paths []string) error {
			files, err := goldenSeeds(paths)
			if err != nil {
				return err
			}
			return a.seedTests(cmd.Context(), files, update, asJSON, limit)
		},
	}
	cmd.Flags().BoolVar(&update, "update", false, "write what the seeds give now into the golden files")
	cmd.Flags().DurationVar(&limit, "timeout", time.Minute, "the longest one case may take")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// goldenSeeds lists the seed files of paths that have a golden file.
func goldenSeeds(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, usageError{noFile(path, err)}
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		goldens, err := filepath.Glob(filepath.Join(path, "*.golden.json"))
		if err != nil {
			return nil, usageError{err}
		}
		for _, g := range goldens {
			stem := strings.TrimSuffix(g, ".golden.json")
			seeds, err := filepath.Glob(stem + ".*")
			if err != nil {
				return nil, usageError{err}
			}
			seeds = append(slices.DeleteFunc(seeds, func(s string) bool { return s == g }), stem)
			for _, s := range seeds {
				if _, err := os.Stat(s); err == nil {
					files = append(files, s)
				}
			}
		}
	}
	if len(files) == 0 {
		return nil, usageError{fmt.Errorf("no seed of %s has a golden file; write one beside it, such as greet.golden.json for greet.py (pmk seed test --help)", strings.Join(paths, ", "))}
	}
	return files, nil
}

// A seedReport is how the tests of one seed went.
type seedReport struct {
	File   string   `json:"file"`
	Cases  int      `json:"cases"`
	Failed []string `json:"failed"`
}

func (a *app) seedTests(ctx context.Context, files []string, update, asJSON bool, limit time.Duration) error {
	reports := []seedReport{}
	failed := false
	for _, file := range files {
		report, err := a.seedTest(ctx, file, update, limit)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		failed = failed || len(report.Failed) > 0
		reports = append(reports, report)
		if asJSON {
			continue
		}
		if len(report.Failed) == 0 {
			fmt.Fprintf(a.out, "ok    %s  %s\n", file, english.Plural(report.Cases, "case", ""))
			continue
		}
		fmt.Fprintf(a.out, "FAIL  %s  %d of %s\n", file, len(report.Failed), english.Plural(report.Cases, "case", ""))
		for _, f := range report.Failed {
			fmt.Fprintln(a.out, "      "+strings.ReplaceAll(f, "\n", "\n      "))
		}
	}
	if asJSON {
		if err := printJSON(a.out, reports); err != nil {
			return err
		}
	}
	if failed {
		return errFindings
	}
	return nil
}

func (a *app) seedTest(ctx context.Context, file string, update bool, limit time.Duration) (seedReport, error) {
	m, err := load.File(file)
	if err != nil {
		return seedReport{}, err
	}
	cases, err := readGolden(goldenFile(file), m, update)
	if err != nil {
		return seedReport{}, err
	}
	r, err := a.program.kinds().Open(m, runner.Env{Node: "test", Python: a.settings.python(), Print: func(line string) error {
		_, err := fmt.Fprintf(forPeople(a.err), "%s: %s\n", m.Name, line)
		return err
	}})
	if err != nil {
		return seedReport{}, err
	}
	report := seedReport{File: file, Cases: len(cases), Failed: []string{}}
	for i := range cases {
		got, err := runCase(ctx, r, m, cases[i].In, limit)
		if err != nil {
			return seedReport{}, err
		}
		if update {
			cases[i].Out, cases[i].Error = got.Out, got.Error
		} else if diff := cases[i].compare(got); diff != "" {
			report.Failed = append(report.Failed, fmt.Sprintf("case %d: %s", i+1, diff))
		}
	}
	if !update {
		return report, nil
	}
	text, err := json.MarshalIndent(cases, "", "  ")
	if err != nil {
		return seedReport{}, err
	}
	return report, os.WriteFile(goldenFile(file), append(text, '\n'), 0o666)
}

// readGolden reads the cases of a seed. An injector has one without input; to
// update it needs no file yet.
func readGolden(path string, m seed.Manifest, update bool) ([]goldenCase, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && update && m.Contract.Injector() {
		return []goldenCase{{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("its golden packets: %w", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	var cases []goldenCase
	if err := dec.Decode(&cases); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s holds no case", path)
	}
	for i, c := range cases {
		if (c.In == nil) != m.Contract.Injector() {
			return nil, fmt.Errorf("%s: case %d: an injector's cases have no \"in\", others have one", path, i+1)
		}
		if c.In != nil {
			if err := c.In.Attributes.Check(); err != nil {
				return nil, fmt.Errorf("%s: case %d: %w", path, i+1, err)
			}
		}
		if c.In != nil && !m.Contract.Takes(c.In.State) {
			return nil, fmt.Errorf("%s: case %d: the seed takes no %s; its contract is %s", path, i+1, c.In.State, m.Contract)
		}
	}
	return cases, nil
}

// compare says how got differs, or "".
func (c goldenCase) compare(got goldenCase) string {
	if c.Error != got.Error {
		return fmt.Sprintf("error %q, want %q", got.Error, c.Error)
	}
	for i := range max(len(c.Out), len(got.Out)) {
		switch {
		case i >= len(got.Out):
			return fmt.Sprintf("output %d is missing: %s", i+1, c.Out[i])
		case i >= len(c.Out):
			return fmt.Sprintf("output %d is not expected: %s", i+1, got.Out[i])
		case c.Out[i].State != got.Out[i].State || c.Out[i].data() != got.Out[i].data() || !maps.Equal(c.Out[i].Attributes, got.Out[i].Attributes):
			return fmt.Sprintf("output %d\n got %s\nwant %s", i+1, got.Out[i], c.Out[i])
		}
	}
	return ""
}

// runCase gives one packet to a new worker.
func runCase(ctx context.Context, r runner.Runner, m seed.Manifest, in *goldenPacket, limit time.Duration) (goldenCase, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w, err := r.Open(ctx)
	if err != nil {
		return goldenCase{}, err
	}
	defer w.Close()
	p := packet.Packet{ID: packet.HashID("golden")}
	p.Ship = packet.Ship{Root: p.ID, Node: "test"}
	if in != nil {
		p.State, p.Data = in.State, in.data()
		if len(in.Attributes) > 0 {
			p.Extra = &packet.Extra{Attributes: in.Attributes}
		}
	}
	sink := &caseSink{contract: m.Contract, extra: p.Extra, got: goldenCase{Out: []goldenPacket{}}}
	if err := w.Run(ctx, []packet.Packet{p}, sink); err != nil {
		if ctx.Err() != nil {
			return goldenCase{}, fmt.Errorf("a case took longer than %v (--timeout)", limit)
		}
		sink.got.Error = err.Error()
	}
	return sink.got, nil
}

// A caseSink keeps what one run gives.
type caseSink struct {
	contract seed.Contract
	extra    *packet.Extra // of the packet that runs
	got      goldenCase
}

func (s *caseSink) Emit(_ int, out packet.Output) error {
	if len(s.got.Out) == maxGoldenOutputs {
		return fmt.Errorf("gave more than %d packets", maxGoldenOutputs)
	}
	if out.Blob != nil { // no blobs were given to the runner
		return errors.New("large data that is not kept")
	}
	extra, err := s.extra.Inherit(out.Attributes)
	if err != nil {
		return err
	}
	var attributes packet.Attributes
	if extra != nil {
		attributes = extra.Attributes
	}
	state := out.State
	if state == "" {
		one, err := runner.OneOutput(s.contract)
		if err != nil {
			return err
		}
		state = one
	}
	for _, full := range s.contract.Out {
		if full == state || full.Name() == string(state) {
			s.got.Out = append(s.got.Out, golden(full, out.Data, attributes))
			return nil
		}
	}
	return fmt.Errorf("the seed gave the state %q, which its contract %s does not name", state, s.contract)
}

func (s *caseSink) Flush() error { return nil }

// Back is never called: there is one packet at a time.
func (s *caseSink) Back(int) {}

func (s *caseSink) Done(_ int, err error) {
	if err != nil {
		s.got.Error = err.Error()
	}
}
