package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

const (
	// heldFor is how long a request waits at most while the node's store takes
	// nothing, unless it prefers another time.
	heldFor = 5 * time.Second
	// checkEvery is how often that is looked up.
	checkEvery = time.Second
	// mostHeld is the longest that a request may prefer.
	mostHeld = 10 * 365 * 24 * time.Hour
)

// A heldError says that packets were not taken, since the store takes nothing.
type heldError struct {
	why  string
	long time.Duration
}

func (e *heldError) Error() string {
	return fmt.Sprintf("the node takes no packets now: %s, for %v; send it again later", e.why, e.long)
}

// taking is the context for taking what a request brings. It ends when the node's store
// has taken nothing for as long as the request waits, with a *heldError as its cause:
// what is not stored by then never will be. end has to be called.
func taking(r *http.Request, n *node.Node) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	most, held := patienceOf(r), time.Duration(0)
	var check func()
	check = func() {
		why := n.StoreStatus().Held()
		if held += checkEvery; why == "" {
			held = 0
		}
		switch {
		case held >= most && why != "":
			cancel(&heldError{why, most})
		case ctx.Err() == nil:
			time.AfterFunc(checkEvery, check)
		}
	}
	first := time.AfterFunc(checkEvery, check)
	return ctx, func() {
		cancel(nil)
		first.Stop() // most requests need no check
	}
}

// patienceOf is how long a request waits while the store takes nothing.
func patienceOf(r *http.Request) time.Duration {
	for _, value := range r.Header.Values(api.Prefer) {
		for token := range strings.SplitSeq(value, ",") {
			name, text, _ := strings.Cut(strings.TrimSpace(token), "=")
			if seconds, err := strconv.ParseUint(text, 10, 32); err == nil && strings.EqualFold(name, "wait") {
				return min(time.Duration(seconds)*time.Second, mostHeld)
			}
		}
	}
	return heldFor
}

// heldBack is why packets were not taken, if that is since the store takes nothing.
func heldBack(ctx context.Context, err error) error {
	var held *heldError
	if err != nil && errors.As(context.Cause(ctx), &held) && errors.Is(err, context.Canceled) {
		return held
	}
	return err
}

// notTaken answers that packets were not taken, but for the first ones.
func notTaken(w http.ResponseWriter, taken int, err error) {
	status := http.StatusBadRequest
	switch {
	case tooLarge(err):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, packet.ErrTooLong):
		status = http.StatusUnprocessableEntity
	case errors.As(err, new(*heldError)), errors.Is(err, node.ErrDraining):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(int(heldFor.Seconds())))
	}
	refuse(w, status, taken, err)
}
