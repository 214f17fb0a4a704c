package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/internal/load"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/internal/runner/worker"
	"github.com/recap/pumpkin/internal/web"
	"github.com/recap/pumpkin/packet"
)

// runFlags are the flags of a node.
type runFlags struct {
	taskdir string
	seeds   []string
	without []string
	group   string
	folders fileFlags
	away    time.Duration
	debug   bool
	load    time.Duration
	mesh    meshFlags
	http    httpFlag
	base    baseFlag
	store   storeFlags
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "pmk [PATH...]",
		Short: "Run a node of a Data Transformation Network",
		Long: `pmk runs a node: it loads seeds, joins their contracts into one network, and moves
every packet from seed to seed by the state of its data.

A PATH is a seed file or a folder of them; folders are watched, so that a seed
that is added, edited or removed takes effect at once. Without a PATH the seeds
compiled into this program run. Ctrl-C ends the node when what is in flight is
finished; a second Ctrl-C ends it at once.`,
		Example: `  pmk                                  the hello world seeds
  pmk examples/helloworld/python       the same, as Python files
  pmk --seed greet.py                  only this seed
  pmk seeds/ --rx inbox                and take .pkt files from the folder inbox
  pmk seeds/ --rx photos=Image:RAW     every file in photos is a packet
  pmk seeds/ --watch /data=Image:RAW   the same, and the files stay where they are
  pmk key new > lan.key                make a key; copy it to other machines, and on each
  pmk --key lan.key seeds/             be one network with all nodes that have it`,
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
	flags.StringVar(&f.taskdir, "taskdir", "", "a folder of seeds, the same as a PATH")
	flags.StringArrayVar(&f.seeds, "seed", nil, "only this seed `FILE`, even if it says pmk-load: no; may be repeated")
	flags.StringArrayVar(&f.without, "without", nil, "leave out the seed of this `NAME`; may be repeated")
	f.group = node.DefaultGroup
	flags.Var((*nameFlag)(&f.group), "group", "the group that the node belongs to")
	f.folders.add(flags)
	flags.DurationVar(&f.load, "load-timeout", 0, "the longest that a seed may take to load, and Python to be found (default: as long as its process lives)")
	f.store.add(flags)
	f.mesh.add(flags)
	flags.Var(&f.http, "http", "serve the web page and the API at this `ADDRESS`, HOST:PORT, or off (default 127.0.0.1:7811, or the next port that is free); other addresses than loopback need a key")
	flags.Var(&f.base, "http-base", "where users find the page through a proxy, a `URL` such as https://example.org/pumpkin, or the path alone; reading then takes the token, too")
	flags.DurationVar(&f.away, "away", node.DefaultAway, "how long packets are kept for a seed while no node hosts it")
	flags.BoolVar(&f.debug, "debug", false, "log more, with times")
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
	if f.away < time.Second {
		return fmt.Errorf("--away %v: expected at least 1s", f.away)
	}
	for _, name := range f.without {
		if err := packet.CheckName("seed's name", name); err != nil {
			return fmt.Errorf("--without: %w", err)
		}
	}
	if f.base.url != nil && f.http == httpOff {
		return errors.New("--http-base has no meaning with --http off: leave one of them out")
	}
	if f.load < 0 {
		return fmt.Errorf("--load-timeout %v: expected a time such as 1m, or 0 for none", f.load)
	}
	return nil
}

func (a *app) run(cmd *cobra.Command, f runFlags, paths []string) error {
	log := newLog(a.err, f.debug)
	a.settings.tell(cmd, log)
	if err := errors.Join(f.check(), f.folders.check(), f.store.check()); err != nil {
		return usageError{err}
	}
	for _, old := range oldFlags() {
		if cmd.Flags().Changed(old.Name) {
			log.Info("--" + old.Name + ": " + old.Now)
		}
	}
	if without, err := cmd.Flags().GetBool(noPlugins); err == nil && without {
		a.program.Seeds = nil
	}
	reach, err := f.mesh.reach(f.group, &f.store.cluster, log)
	if err != nil {
		return err
	}
	if err := f.http.check(reach.secrets); err != nil {
		return err
	}
	if reach.secrets == nil && reach.apart == "" && f.mesh.endpoint == "" {
		log.Info("without a key this node meets only nodes of this user on this machine; for other machines: " + keyWay)
	}
	if f.taskdir != "" {
		paths = append(paths, f.taskdir)
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return noSuchPath(cmd.Root(), path, err)
		}
	}
	warnOldConfig(paths, log)
	return a.node(cmd.Context(), f, reach, paths, log)
}

// node runs a node with everything that the flags say of it, until it is ended.
func (a *app) node(ctx context.Context, f runFlags, reach reach, paths []string, log *slog.Logger) error {
	own, err := f.store.open(ctx, f.group, reach.key(), log)
	if err != nil {
		return err
	}
	snapshots, forget, err := own.snapshots()
	if err != nil {
		return errors.Join(err, own.close())
	}
	defer forget()
	tracer, endSpans := a.tracer(ctx, own.node, log)
	printed := newPrinted(a.out, log)
	defer printed.close()
	uses := load.NewUses()
	n := node.New(node.Config{
		Name: own.node, Group: f.group, Kinds: a.program.kindsIn(snapshots, a.settings.python(), uses), LoadTimeout: f.load, Log: log, Print: printed.line, MaxData: int64(f.store.maxPacket),
		Store: own.store, Blobs: own.blobs, Durability: f.store.durability, SetAside: own.setAside,
		Version: versionText(), Tracer: tracer, Away: f.away,
	})
	if err := worker.Sweep(); err != nil {
		log.Warn("removing what killed nodes have left", "error", err)
	}
	log.Info(fmt.Sprintf("node %s, group %s, start %s", n.Name(), n.Group(), n.RunName()))
	if own.note != "" {
		log.Info(own.note)
	}
	n.Recall()
	err = a.keep(ctx, n, uses, f, reach, own, paths, log)
	endSpans()
	trouble := own.trouble(n.StoreStatus(), log)
	if closed := own.close(); trouble == nil {
		err = errors.Join(err, closed)
	} else if closed != nil {
		log.Error(closed.Error()) // of the same cause, most likely
	}
	return errors.Join(err, trouble)
}

// keep runs the node with all its ways in until the user ends it.
func (a *app) keep(ctx context.Context, n *node.Node, uses *load.Uses, f runFlags, reach reach, own opened, paths []string, log *slog.Logger) error {
	signals := a.signals
	if signals == nil {
		signals = make(chan os.Signal, 2)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(signals)
		// A standard output that nobody reads any more is an error of what writes to it, and
		// not the end of the node. What the node starts has the default again.
		broken := make(chan os.Signal, 1)
		signal.Notify(broken, syscall.SIGPIPE)
		defer signal.Stop(broken)
	}

	folders, err := f.folders.open(n, own, log)
	if err != nil {
		return err
	}
	company, err := reach.company(ctx, n, own, log)
	if err != nil {
		return err
	}

	endPage, err := f.http.serve(n, company.api, reach.secrets, own.dir, f.base, log)
	if err != nil {
		company.close()
		return err
	}
	defer endPage()

	// ways are what brings seeds and packets in: they end first.
	waysCtx, stopWays := context.WithCancel(ctx)
	defer stopWays()
	ways, waysCtx := errgroup.WithContext(waysCtx)
	runCtx, stopRun := context.WithCancel(ctx)
	defer stopRun()
	r := &roster{node: n, log: log, without: f.without, uses: uses, at: company.offered}
	if err := r.begin(waysCtx, a.program, f.seeds, paths); err != nil {
		company.close()
		stopRun()
		n.Run(runCtx) // ends what was loaded; its error is nil
		return err
	}
	// The others are met until the node has ended: what it does for them goes back to
	// them.
	meetCtx, part := context.WithCancel(ctx)
	defer part()
	met := make(chan error, 1)
	go func() { met <- company.run(meetCtx) }()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(runCtx) }()
	if a.started != nil {
		a.started(n)
	}
	ways.Go(func() error { return r.awaitNamed(waysCtx) })
	ways.Go(func() error {
		r.watch(waysCtx)
		return nil
	})
	for _, folder := range folders {
		log.Info("taking files from " + folder.Dir())
		ways.Go(func() error { return folder.Run(waysCtx) })
	}
	if own.adopt != nil {
		ways.Go(func() error {
			own.adopt(waysCtx, n.Arrived)
			return nil
		})
	}
	// Without a folder the ways end at once; only a failure ends the node.
	select {
	case <-signals:
	case <-broken(ways):
	case <-own.lost:
	case <-ctx.Done():
	}
	stopWays()
	wayErr := ways.Wait()
	aborted := drain(n, f.store.durability, log, signals, own.lost)
	away := web.StatusOf(n.Status(ctx)).Away
	stopRun()
	if err := a.awaitEnd(ended, signals, aborted); err != nil {
		return err
	}
	part()
	metErr := <-met
	if left, err := n.Left(ctx); err == nil && left > 0 {
		verbs := [2]string{"are", "go"}
		if left == 1 {
			verbs = [2]string{"is", "goes"}
		}
		log.Info(fmt.Sprintf("%s %s in the store and %s on when a node of this group starts again", english.Plural(left, "packet", ""), verbs[0], verbs[1]))
	}
	for i := range away {
		if away[i].Packets > 0 {
			log.Info("of these " + sum.Kept(&away[i]))
		}
	}
	if lost := n.Abandoned(); lost > 0 {
		log.Warn("lost " + english.Plural(lost, "packet", "") + " that had not ended: --durability " + f.store.durability.String() + " keeps packets only in memory")
	}
	if errors.Is(wayErr, context.Canceled) {
		wayErr = nil
	}
	if aborted {
		return errAborted
	}
	return errors.Join(wayErr, metErr)
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

// drain lets what is in flight finish; true means that a second signal came first, or the data
// folder was lost. It says what it waits for, and what becomes of that otherwise.
func drain(n *node.Node, durability node.Durability, log *slog.Logger, signals <-chan os.Signal, lost <-chan struct{}) (aborted bool) {
	select {
	case <-lost:
		return true
	default:
	}
	cutOff := "what is cut off then runs again at the next start"
	if durability != node.Disk {
		cutOff = "what is cut off then is lost: --durability " + durability.String() + " keeps packets only in memory"
	}
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
		case <-lost:
			return true
		case <-tell.C:
			log.Info("ending: waiting for " + unfinishedText(n.Unfinished()) + "; press Ctrl-C again to end at once: " + cutOff)
			tell.Reset(10 * time.Second)
		}
	}
}

// maxUnfinished is how many seeds a line names that a node waits for.
const maxUnfinished = 5

// unfinishedText names what a node that ends waits for.
func unfinishedText(list []node.Unfinished) string {
	if len(list) == 0 {
		return "the store"
	}
	var texts []string
	for _, u := range list[:min(len(list), maxUnfinished)] {
		what := english.Plural(u.Running, "running worker", "")
		switch {
		case u.Running == 0:
			what = english.Plural(u.Queued, "queued packet", "")
		case u.Queued > 0:
			what += " and " + english.Plural(u.Queued, "queued packet", "")
		}
		texts = append(texts, what+" of "+string(u.Seed))
	}
	if more := len(list) - maxUnfinished; more > 0 {
		texts = append(texts, english.Plural(more, "other seed", ""))
	}
	return strings.Join(texts, ", ")
}

// awaitEnd waits for the node's end: after an abort not for long, since a Go seed
// that hangs cannot be ended from outside.
func (a *app) awaitEnd(ended <-chan error, signals <-chan os.Signal, aborted bool) error {
	if !aborted {
		select {
		case err := <-ended:
			return err
		case <-signals:
		}
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(2 * time.Second):
		return errAborted
	}
}
