package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"
	"golang.org/x/term"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/packet"
)

// An outcome is what became of what was sent.
type outcome struct {
	Node  string `json:"node"`
	Taken int    `json:"taken"`
	api.Outcome
	Failures []failure `json:"failures,omitempty"`
}

const (
	// askOften is how often the node is asked at first; it grows to askSeldom.
	askOften  = 10 * time.Millisecond
	askSeldom = time.Second
)

// await waits until every packet under the id has ended or waits, and says how
// far it is on a terminal. Its error tells how it ended.
func (a *app) await(ctx context.Context, f nodeFlags, asJSON bool, sent sent) error {
	id, taken := sent.packet.Follow, sent.taken
	progress := newProgress(a.err)
	defer progress.clear()
	var ledger api.Ledger
	var away []api.Away
	var failures []failure
	at, err := f.status(ctx)
	if err != nil {
		return err
	}
	name, said := at.Node, map[string]bool{}
	for every := askOften; ; every = min(every*3/2, askSeldom) {
		// The node may be started again meanwhile: the ledger is still there.
		client, _, err := f.client(ctx)
		if err == nil {
			ledger, err = client.Ledger(ctx, id)
			// Every packet was written down when it was taken: a ledger
			// that lacks some is not the whole of it.
			if err == nil && ledger.Live == 0 && ledger.Begun >= taken {
				if len(ledger.Kept) > 0 {
					at, err = client.Status(ctx)
					away = at.Away
				}
				if err == nil {
					err = client.Forget(ctx, id)
				}
				if err == nil {
					failures, err = failuresOf(ctx, client.Everywhere(), ledger.Waiting, sent.root)
				}
				client.Close()
				if err != nil {
					return err
				}
				break
			}
			client.Close()
		}
		if err != nil && ctx.Err() == nil && at.Store.Durability != api.OnDisk && at.Store.Durability != api.InCluster {
			return fmt.Errorf("the node %s has ended, and with --durability %s it kept packets only in memory: what had not ended is lost: %w", name, at.Store.Durability, err)
		}
		if err != nil && ctx.Err() == nil {
			progress.say("waiting for the node: " + err.Error())
		} else {
			for why, count := range ledger.Held {
				if !said[why] {
					said[why] = true
					progress.clear()
					fmt.Fprintf(forPeople(a.err), "%s held up: %s (Ctrl-C stops waiting)\n", english.Plural(count, "packet is", "packets are"), why)
				}
			}
			progress.say(fmt.Sprintf("%s in progress, %d finished", english.Plural(ledger.Live, "packet", ""), ledger.Ended))
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return errors.New("stopped waiting; the packets go on")
		}
	}
	progress.clear()
	waits, failed := 0, 0
	for state, count := range ledger.Waiting {
		if state.Type() == packet.ErrorType {
			failed += count
		} else {
			waits += count
		}
	}
	kept := 0
	for _, count := range ledger.Kept {
		kept += count
	}
	out := outcome{Node: name, Taken: taken, Outcome: api.Outcome{Ledger: ledger, Over: true}, Failures: failures}
	if asJSON {
		if err := printJSON(a.out, out); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.err, "%s sent, %s finished\n", english.Plural(taken, "packet", ""), english.Plural(out.Ended, "run", ""))
		for _, name := range slices.Sorted(maps.Keys(ledger.Filtered)) {
			fmt.Fprintf(a.err, "%d filtered by %s\n", ledger.Filtered[name], name)
		}
		for _, state := range slices.Sorted(maps.Keys(ledger.Waiting)) {
			fmt.Fprintf(a.err, "%s in %s: 'pmk waiting %s --show' shows why\n", english.Plural(ledger.Waiting[state], "packet", ""), state, state)
			printFailures(forPeople(a.err), failures, state)
		}
		for _, name := range slices.Sorted(maps.Keys(ledger.Kept)) {
			long := "away"
			if i := slices.IndexFunc(away, func(s api.Away) bool { return s.Seed == name }); i >= 0 {
				long = away[i].Text
			}
			fmt.Fprintf(a.err, "%s, %s\n", sum.Copies(name, ledger.Kept[name]), long)
		}
	}
	switch {
	case failed > 0:
		return errErrors
	case waits > 0, kept > 0:
		return errWaits
	}
	return nil
}

// A progress is one line on a terminal that changes; elsewhere it is nothing.
type progress struct {
	out   io.Writer // nil without a terminal
	begun time.Time
}

func newProgress(out io.Writer) *progress {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &progress{}
	}
	return &progress{out: out, begun: time.Now()}
}

// say shows the line, unless everything is over in no time.
func (p *progress) say(line string) {
	if p.out != nil && time.Since(p.begun) > 300*time.Millisecond {
		fmt.Fprintf(p.out, "\r\x1b[K%s", whole(line))
	}
}

func (p *progress) clear() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// reportHeld says on standard error why sending does not go on, until the
// context ends: the store of the node may be full.
func (a *app) reportHeld(ctx context.Context, client *api.Client) {
	for {
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return
		}
		st, err := client.Status(ctx)
		if err != nil {
			continue // the node may be too busy to tell, or gone, which the send will find
		}
		if why := st.Store.Held; why != "" {
			fmt.Fprintf(forPeople(a.err), "the node takes no packets now: %s; waiting until it does (Ctrl-C stops waiting)\n", why)
			return
		}
	}
}
