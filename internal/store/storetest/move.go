package storetest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/store"
)

// Tokens are frames that move to and fro between two queues. A record says how
// often each has moved, and its frame as well: they agree if transactions are
// whole.
const (
	tokens     = 40
	tokenTable = store.Table("tokens")
)

func tokenData(name string, moves int) string { return fmt.Sprintf("%s moved %d", name, moves) }

func parseToken(data string) (name string, moves int, err error) {
	name, count, ok := strings.Cut(data, " moved ")
	if !ok {
		return "", 0, fmt.Errorf("%q is no token", data)
	}
	moves, err = strconv.Atoi(count)
	return name, moves, err
}

// makeTokens has a store without tokens make them.
func makeTokens(ctx context.Context, s store.Store) error {
	var tx store.Tx
	for i := range tokens {
		name := fmt.Sprintf("token-%02d", i)
		tx.Append = append(tx.Append, appendTo(greet, tokenData(name, 0)))
		tx.Put = append(tx.Put, record(tokenTable, name, "0"))
	}
	tx.Durable = true
	return s.Commit(ctx, &tx)
}

// moveTokens moves tokens until the context or the store ends, and says on w
// how often a token has moved once that is durable. saw, unless nil, is called
// with each lease.
func moveTokens(ctx context.Context, s store.Store, w io.Writer, saw func(store.Queue, store.Lease)) error {
	for n := 0; ; n++ {
		from := []store.Queue{greet, wait}[n%2]
		soon, cancel := context.WithTimeout(ctx, time.Millisecond)
		leases, err := s.Pull(soon, from, 1+rand.IntN(4))
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && soon.Err() != nil:
			continue // this queue is empty now
		case err != nil:
			return err
		}
		for _, l := range leases {
			if saw != nil {
				saw(from, l)
			}
		}
		if err := moveOn(ctx, s, w, leases, rand.IntN(3) == 0); err != nil {
			return err
		}
	}
}

// moveOn moves leased tokens, in one transaction, to random queues.
func moveOn(ctx context.Context, s store.Store, w io.Writer, leases []store.Lease, durable bool) error {
	later := durable && rand.IntN(3) == 0 // a commit of its own waits for the disk
	tx := store.Tx{Ack: leases, Durable: durable && !later}
	var said strings.Builder
	for _, l := range leases {
		name, moves, err := parseToken(string(l.Data()))
		if err != nil {
			return err
		}
		moves++
		to := greet
		if rand.IntN(2) == 0 {
			to = wait
		}
		tx.Append = append(tx.Append, appendTo(to, tokenData(name, moves)))
		tx.Put = append(tx.Put, record(tokenTable, name, strconv.Itoa(moves)))
		fmt.Fprintln(&said, "append", tokenData(name, moves))
	}
	err := s.Commit(ctx, &tx)
	if err == nil && later {
		err = s.Commit(ctx, &store.Tx{Durable: true})
	}
	if err != nil {
		return err
	}
	if durable {
		_, err := io.WriteString(w, said.String())
		return err
	}
	return nil
}

// beMover uses a store until it is killed.
func beMover(ctx context.Context, s store.Store, tell *os.File) error {
	for range 2 {
		go func() {
			if err := moveTokens(ctx, s, tell, nil); err != nil {
				fmt.Fprintln(tell, "failed", err)
				os.Exit(1)
			}
		}()
	}
	return moveTokens(ctx, s, tell, nil)
}

// checkTokens sees that each token is there once, has moved as often as its
// record says, and at least as often as was said.
func checkTokens(ctx context.Context, s store.Store, said map[string]int) error {
	found := map[string]int{}
	var wrong []string
	for _, q := range []store.Queue{greet, wait} {
		err := s.Look(ctx, q, 0, func(st store.Stored) bool {
			name, moves, err := parseToken(string(st.Data))
			switch _, twice := found[name]; {
			case err != nil:
				wrong = append(wrong, err.Error())
			case twice:
				wrong = append(wrong, name+" is there twice")
			case moves < said[name]:
				wrong = append(wrong, fmt.Sprintf("%s has moved %d times; it was said to have moved %d times", name, moves, said[name]))
			}
			found[name] = moves
			return true
		})
		if err != nil {
			return err
		}
	}
	err := s.Scan(ctx, tokenTable, "", func(name string, value []byte) bool {
		if moves, ok := found[name]; !ok || strconv.Itoa(moves) != string(value) {
			wrong = append(wrong, fmt.Sprintf("the record of %s says %s; its frame says %d, %v", name, value, moves, ok))
		}
		delete(found, name)
		return true
	})
	for name := range found {
		wrong = append(wrong, name+" has no record")
	}
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("transactions are torn: %s", strings.Join(wrong, "; "))
	}
	return err
}

// testKillWhole kills processes in the middle of transactions that span two
// queues and a table: each was done as a whole or not at all.
func testKillWhole(b *bench) {
	if err := makeTokens(b.Context(), b.store); err != nil {
		b.Fatal(err)
	}
	b.close()
	for round := range 6 {
		v := b.runVictim(true, 1+rand.IntN(400), time.Duration(rand.IntN(50))*time.Millisecond)
		said := map[string]int{}
		for data := range v.appended {
			name, moves, err := parseToken(data)
			if err != nil {
				b.Fatal(err)
			}
			said[name] = max(said[name], moves)
		}
		b.open(0, 0)
		if err := checkTokens(b.Context(), b.store, said); err != nil {
			b.Fatalf("round %d: %v", round, err)
		}
		if n := b.frames(); n != tokens {
			b.Fatalf("round %d: %d frames are counted; expected %d", round, n, tokens)
		}
		b.pullTokens()
		b.close()
	}
}

// pullTokens sees that all tokens can be leased.
func (b *bench) pullTokens() {
	b.Helper()
	for _, c := range b.queues() {
		for _, l := range b.pullAll(c.Queue, c.Frames) {
			b.release(l, 0)
		}
	}
}
