package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/inject"
	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/seed"
)

// runFlags are the flags of a node.
type runFlags struct {
	taskdir  string
	seeds    []string
	without  []string
	group    string
	rx       []string
	endpoint string
	debug    bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "pmk [PATH...]",
		Short: "Run a node of a Data Transformation Network",
		Long: `pmk runs a node: it loads seeds, joins what they say of themselves into one
network, and moves every packet from seed to seed by the state of its data.

A PATH is a seed file or a folder of them; folders are watched, so that a seed
that is added, edited or removed takes effect at once. Without a PATH the seeds
compiled into this program run. Ctrl-C ends the node when what is in flight is
finished; a second Ctrl-C ends it at once.`,
		Example: `  pmk                                  the hello world seeds
  pmk examples/helloworld/python       the same, as Python files
  pmk --seed greet.py                  this seed alone
  pmk seeds/ --rx inbox                and take .pkt files from the folder inbox
  pmk seeds/ --rx photos=Image:RAW     every file in photos is a packet`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd, f, args) },
	}
	cmd.Version = versionText()
	cmd.SetVersionTemplate("pmk {{.Version}}\n")
	a.runFlagsOf(cmd, &f)
	again := &cobra.Command{ // pmk run ... is the same as pmk ...
		Use: "run [PATH...]", Short: "Run a node; the same as pmk without a command", Long: cmd.Long, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd, f, args) },
	}
	a.runFlagsOf(again, &f)
	cmd.AddCommand(again)
	return cmd
}

func (a *app) runFlagsOf(cmd *cobra.Command, f *runFlags) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.taskdir, "taskdir", "", "a folder of seeds, as a PATH")
	flags.StringArrayVar(&f.seeds, "seed", nil, "only this seed `FILE`, even if it says pmk-load: no; may be repeated")
	flags.StringArrayVar(&f.without, "without", nil, "leave out the seed of this `NAME`; may be repeated")
	flags.StringVar(&f.group, "group", node.DefaultGroup, "the group that the node belongs to")
	flags.StringArrayVar(&f.rx, "rx", nil, "take packets from the files of this folder, `DIR` or DIR=Type:STATE; may be repeated")
	flags.StringVar(&f.endpoint, "endpoint.type", "ipc", "what other nodes reach this one by: ipc")
	flags.BoolVar(&f.debug, "debug", false, "say more, with times")
	for _, old := range oldFlags() {
		if old.TakesValue {
			flags.StringP(old.Name, old.Shorthand, "", old.Now)
		} else {
			flags.BoolP(old.Name, old.Shorthand, false, old.Now)
		}
		flags.Lookup(old.Name).Hidden = true
	}
}

// check refuses what the flags cannot mean.
func (f *runFlags) check() error {
	switch kind := strings.TrimPrefix(strings.ToLower(f.endpoint), "zmq."); kind {
	case "ipc":
	case "tcp", "inproc", "multicast":
		return fmt.Errorf("--endpoint.type %s: nodes on other machines are not reached yet; leave the flag out or say ipc", f.endpoint)
	default:
		return fmt.Errorf("--endpoint.type %s: expected ipc (or, as before, zmq.IPC)", f.endpoint)
	}
	return nil
}

func (a *app) run(cmd *cobra.Command, f runFlags, paths []string) error {
	if err := f.check(); err != nil {
		return usageError{err}
	}
	log := newLog(a.err, f.debug)
	for _, old := range oldFlags() {
		if cmd.Flags().Changed(old.Name) {
			log.Info("--" + old.Name + ": " + old.Now)
		}
	}
	if f.taskdir != "" {
		paths = append(paths, f.taskdir)
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return noSuchPath(cmd.Root(), path, err)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	n := node.New(node.Config{
		Name: node.NewName(host), Group: f.group, Open: a.program.opener(), Log: log, Print: a.printer(log),
	})
	st := n.Status()
	log.Info(fmt.Sprintf("node %s, group %s, run %s", st.Node, st.Group, st.Run))
	return a.keep(cmd.Context(), n, f, paths, log)
}

// printer is where the lines go that seeds print: an extractor's are results,
// others belong to the log.
func (a *app) printer(log *slog.Logger) func(seed.Manifest, string) {
	return func(m seed.Manifest, line string) {
		if m.Contract.Extractor() {
			fmt.Fprintln(a.out, line)
			log.Debug(string(m.Name) + ": " + line)
			return
		}
		log.Info(string(m.Name) + ": " + line)
	}
}

// keep runs the node with all its ways in until the user ends it.
func (a *app) keep(ctx context.Context, n *node.Node, f runFlags, paths []string, log *slog.Logger) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	var folders []*inject.Folder
	for _, arg := range f.rx {
		dir, state, err := inject.ParseArgument(arg)
		if err != nil {
			return usageError{err}
		}
		folder, err := inject.New(inject.Config{Dir: dir, State: state, Group: n.Group(), Log: log}, n)
		if err != nil {
			return err
		}
		folders = append(folders, folder)
	}
	socket, err := local.Listen(n.Group(), n.Name())
	if err != nil {
		return err
	}

	// ways are what brings seeds and packets in: they end first.
	waysCtx, stopWays := context.WithCancel(ctx)
	defer stopWays()
	ways, waysCtx := errgroup.WithContext(waysCtx)
	runCtx, stopRun := context.WithCancel(ctx)
	defer stopRun()
	served := make(chan error, 1)
	go func() { served <- web.Serve(runCtx, socket, web.Handler(n)) }()

	r := &roster{node: n, log: log, without: f.without}
	if err := r.begin(waysCtx, a.program, f.seeds, paths); err != nil {
		stopRun()
		n.Run(runCtx) // ends what was loaded; its error is nil
		return errors.Join(err, <-served)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(runCtx) }()
	ways.Go(func() error { return r.watch(waysCtx) })
	for _, folder := range folders {
		log.Info("taking files from " + folder.Dir())
		ways.Go(func() error { return folder.Run(waysCtx) })
	}
	// Without a folder the ways end at once; only a failure ends the node.
	select {
	case <-signals:
	case <-broken(ways):
	case <-ctx.Done():
	}
	stopWays()
	wayErr := ways.Wait()
	aborted := drain(n, log, signals)
	stopRun()
	if err := a.await(ended, aborted); err != nil {
		return err
	}
	if lost := n.Abandoned(); lost > 0 {
		log.Warn("gave up " + plural(lost, "packet") + " that had not ended: this node keeps packets in memory alone")
	}
	if errors.Is(wayErr, context.Canceled) {
		wayErr = nil
	}
	if aborted {
		return errAborted
	}
	return errors.Join(wayErr, <-served)
}

// broken is closed when one of the ways has failed.
func broken(ways *errgroup.Group) <-chan struct{} {
	ch := make(chan struct{})
	go func() { // ends with the ways
		if ways.Wait() != nil {
			close(ch)
		}
	}()
	return ch
}

// drain lets what is in flight finish; true means that a second signal came
// first.
func drain(n *node.Node, log *slog.Logger, signals <-chan os.Signal) (aborted bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Drain(ctx) // its only error is ctx's
	}()
	tell := time.NewTimer(500 * time.Millisecond)
	defer tell.Stop()
	for {
		select {
		case <-done:
			return false
		case <-signals:
			return true
		case <-tell.C:
			queued, running := n.InFlight()
			log.Info(fmt.Sprintf("ending: %s queued, %s running; Ctrl-C again ends at once",
				plural(queued, "packet"), plural(running, "worker")))
			tell.Reset(10 * time.Second)
		}
	}
}

// await waits for the node's end: after an abort not for long, since a Go seed
// that hangs cannot be ended from outside.
func (a *app) await(ended <-chan error, aborted bool) error {
	if !aborted {
		return <-ended
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(2 * time.Second):
		return errAborted
	}
}

// byFlow sorts seeds as data flows through them: injectors first.
func byFlow(ms []seed.Manifest) {
	depth := make(map[seed.Name]int, len(ms))
	for _, m := range ms {
		if !m.Contract.Injector() {
			depth[m.Name] = len(ms)
		}
	}
	for changed := true; changed; {
		changed = false
		for _, from := range ms {
			for _, to := range ms {
				if next := depth[from.Name] + 1; next < depth[to.Name] && slices.ContainsFunc(from.Contract.Out, to.Contract.Takes) {
					depth[to.Name], changed = next, true
				}
			}
		}
	}
	slices.SortStableFunc(ms, func(a, b seed.Manifest) int { return depth[a.Name] - depth[b.Name] })
}
