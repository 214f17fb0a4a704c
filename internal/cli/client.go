package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/node"
)

// answerTime is how long a node may take to say that it is there.
const answerTime = 10 * time.Second

// nodeFlags say which node of this machine is meant.
type nodeFlags struct{ group, node string }

func (f *nodeFlags) add(cmd *cobra.Command) {
	f.group = node.DefaultGroup
	cmd.Flags().Var((*nameFlag)(&f.group), "group", "the group of the node")
	cmd.Flags().StringVar(&f.node, "node", "", "ask the node of this `NAME` (default: any node of the network)")
}

// A noNodeError says that there is no running node to talk to.
type noNodeError string

func (e noNodeError) Error() string { return string(e) }

func (noNodeError) Is(target error) bool { return target == local.ErrNone }

// client connects to the running node that the flags mean, and names it. An error
// that is [local.ErrNone] says that none runs, or that none answers.
func (f *nodeFlags) client(ctx context.Context) (*api.Client, string, error) {
	peers, err := local.Find(ctx, f.group, f.node)
	if err != nil && !errors.Is(err, local.ErrNone) {
		return nil, "", err
	}
	// Nodes that meet are one network, and any of them speaks for it.
	var names []string
	for i, p := range peers {
		if i == 0 || p.Meet != peers[i-1].Meet {
			names = append(names, p.Node)
		}
	}
	if len(names) > 1 {
		return nil, "", usageError{fmt.Errorf("nodes of %d networks run here, with keys of their own: choose one with --node %s", len(names), strings.Join(names, " or --node "))}
	}
	client, name, err := answering(ctx, peers, answerTime)
	if err == local.ErrNone {
		which := "no node of the group " + f.group
		if f.node != "" {
			which = "no node " + f.node + " of the group " + f.group
		}
		next := "start one with 'pmk', or 'pmk seeds/', and try again"
		// What cannot be looked at is no reason to say less.
		if others, _ := local.Groups(ctx); f.node == "" && len(others) > 0 {
			next = "nodes of another group do: say --group " + strings.Join(others, " or --group ")
		}
		err = noNodeError(which + " runs on this machine for you; " + next)
	}
	return client, name, err
}

// answering connects to the first of the peers that answers within that time.
// [local.ErrNone] says that all of them have ended, a [noNodeError] what else is wrong
// with one. That a connection is taken says little: the kernel takes them for a process
// for as long as it tears it down.
func answering(ctx context.Context, peers []local.Peer, within time.Duration) (*api.Client, string, error) {
	failed := local.ErrNone
	for _, p := range peers {
		client := api.NewClient(p.Dial)
		err := healthy(ctx, client, within)
		if err == nil {
			return client, p.Node, nil
		}
		client.Close()
		switch {
		case ctx.Err() != nil:
			return nil, "", ctx.Err()
		case errors.Is(err, local.ErrNone):
		case errors.Is(err, context.DeadlineExceeded):
			failed = noNodeError(fmt.Sprintf("node %s does not answer within %v; is its process stopped?", p.Node, within))
		default:
			failed = noNodeError(fmt.Sprintf("node %s does not answer: %v; it may have ended just now: try again", p.Node, err))
		}
	}
	return nil, "", failed
}

func healthy(ctx context.Context, client *api.Client, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return client.Healthy(ctx)
}
