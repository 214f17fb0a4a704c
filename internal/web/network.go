package web

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
)

// A Network is what every node does, the one that was asked first.
type Network struct {
	Nodes []Member `json:"nodes"`
	// Seeds and States are what the nodes do together, by name.
	Seeds  []Seed  `json:"seeds"`
	States []State `json:"states"`
	// Ahead is what lies before the seeds, by name.
	Ahead     []Ahead         `json:"ahead"`
	Outsiders []mesh.Outsider `json:"outsiders,omitempty"`
	// Ignored is what came without the key to the node that was asked.
	Ignored mesh.Ignored `json:"ignored,omitzero"`
}

// A Member is one node of the network.
type Member struct {
	node.Status
	// At is how it is reached; "" for the node that was asked.
	At string `json:"at,omitempty"`
	// Trouble says why the status is only what the node has said of itself
	// before: it does not answer.
	Trouble string `json:"trouble,omitempty"`
	// Seen is when it answered last; zero if it never has.
	Seen time.Time `json:"seen,omitzero"`
}

// withoutStore takes out what was told of the store already: the node that was
// asked has the same.
func (m *Member) withoutStore() {
	m.Waiting, m.Inboxes, m.Behind, m.Away = []node.Waiting{}, nil, nil, nil
	for i := range m.Seeds {
		m.Seeds[i].Stored, m.Seeds[i].StoredBytes = 0, 0
	}
}

// others are the peers with stores of their own.
func (net *network) others() []mesh.Peer {
	return slices.DeleteFunc(net.Node.Peers(), func(p mesh.Peer) bool { return p.Store() == nil })
}

// memberTime is how long a node has to answer what it does.
const memberTime = 3 * time.Second

// network serves what is asked of all nodes: it asks them in turn.
type network struct {
	Config
	seen seen
	feed feed
}

// look tells what every node does.
func (net *network) look(w http.ResponseWriter, r *http.Request) {
	peers := net.Node.Peers()
	members := make([]Member, 1+len(peers))
	members[0] = net.own(r.Context())
	var asked sync.WaitGroup
	for i, p := range peers {
		asked.Go(func() { members[1+i] = net.member(r.Context(), p) })
	}
	asked.Wait()
	net.seen.keep(peers)
	reply(w, http.StatusOK, "application/json", net.sum(members))
}

// sum is the network of these nodes.
func (net *network) sum(members []Member) Network {
	all := Network{Nodes: members, Ahead: AheadOf(members)}
	if net.Outsiders != nil {
		all.Outsiders = net.Outsiders()
	}
	if net.Ignored != nil {
		all.Ignored = net.Ignored()
	}
	all.sum()
	return all
}

// own is the node that was asked.
func (net *network) own(ctx context.Context) Member {
	return Member{Status: net.Node.Status(ctx), Seen: time.Now()}
}

// member asks one peer.
func (net *network) member(ctx context.Context, p mesh.Peer) Member {
	ctx, cancel := context.WithTimeout(ctx, memberTime)
	defer cancel()
	st, err := NewClientOver(p).Status(ctx)
	if err != nil {
		return net.silent(p, err)
	}
	return net.answered(p, st)
}

// answered is a peer that has said what it does.
func (net *network) answered(p mesh.Peer, st node.Status) Member {
	m := Member{Status: st, At: p.At(), Seen: time.Now()}
	net.seen.note(p, m.Seen)
	if p.Store() == nil {
		m.withoutStore()
	}
	return m
}

// silent is a peer that did not answer: only what its card says is known.
func (net *network) silent(p mesh.Peer, err error) Member {
	card := p.Card()
	st := node.Status{Node: card.Node, Seeds: []node.SeedStatus{}, Waiting: []node.Waiting{}, Version: card.Version, Refused: card.Refused, Leaving: card.Leaving}
	for _, s := range card.Seeds {
		st.Seeds = append(st.Seeds, node.SeedStatus{Manifest: s.Manifest, Since: s.Since, Cost: s.Cost})
	}
	return Member{Status: st, At: p.At(), Trouble: err.Error(), Seen: net.seen.last(p)}
}

// seen is when peers have answered last.
type seen struct {
	mu sync.Mutex
	at map[mesh.Peer]time.Time
}

func (s *seen) note(p mesh.Peer, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[mesh.Peer]time.Time{}
	}
	s.at[p] = at
}

func (s *seen) last(p mesh.Peer) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[p]
}

// keep forgets all others.
func (s *seen) keep(peers []mesh.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.at, func(p mesh.Peer, _ time.Time) bool { return !slices.Contains(peers, p) })
}

// show streams what waits in a state of any node, one node after the other.
func (net *network) show(w http.ResponseWriter, r *http.Request) {
	state, limit, ok := asked(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	limit, err := encode(enc, r.Context(), net.Node, state, limit)
	for _, p := range net.others() {
		if err != nil || limit <= 0 {
			break
		}
		err = NewClientOver(p).Waiting(r.Context(), state, limit, func(s Shown) error {
			limit--
			return enc.Encode(s)
		})
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the answer has begun: cutting it off is all that can tell
	}
}

// handle does something to a selection of the waiting packets of all nodes.
func (net *network) handle(w http.ResponseWriter, r *http.Request, here func(context.Context, node.Selection) (int, error), there func(*Client, context.Context, node.Selection) (int, error)) {
	sel, ok := readSelection(w, r)
	if !ok {
		return
	}
	missing := namesOf(sel)
	var failed error
	total := 0
	took := func(count int, err error) {
		total += count
		var here *node.NotWaitingError
		var there *Problem
		var absent []string // of this node
		switch {
		case errors.As(err, &here):
			absent = here.Names
		case errors.As(err, &there) && len(there.Missing) > 0:
			absent = there.Missing
		case err != nil:
			failed = errors.Join(failed, err)
			return
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return !slices.Contains(absent, name) })
	}
	took(here(r.Context(), sel))
	for _, p := range net.others() {
		took(there(NewClientOver(p), r.Context(), sel))
	}
	if failed == nil && len(missing) > 0 {
		failed = &node.NotWaitingError{Names: missing}
	}
	handled(w, total, failed)
}

// namesOf are the states and ids of a selection, as errors name them.
func namesOf(sel node.Selection) (names []string) {
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			names, seen[name] = append(names, name), true
		}
	}
	for _, s := range sel.States {
		add(string(s))
	}
	for _, id := range sel.IDs {
		add(id.String())
	}
	return names
}
