package web

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/api/sum"
	"github.com/recap/pumpkin/internal/mesh"
)

// others are the peers with stores of their own.
func (net *network) others() []mesh.Peer {
	return slices.DeleteFunc(net.Node.Peers(), func(p mesh.Peer) bool { return p.Store() == nil })
}

// both registers what is asked of this node alone, and below /network of the others as well.
func (net *network) both(mux *router, method, path string, others func() []mesh.Peer, handle func(http.ResponseWriter, *http.Request, []mesh.Peer)) {
	mux.HandleFunc(method+" /api/v1/"+path, func(w http.ResponseWriter, r *http.Request) { handle(w, r, nil) })
	mux.HandleFunc(method+" /api/v1/network/"+path, func(w http.ResponseWriter, r *http.Request) { handle(w, r, others()) })
}

// memberTime is how long a node has to answer what it does.
const memberTime = 3 * time.Second

// A network serves what is asked of all nodes: it asks them in turn.
type network struct {
	Config
	seen seen
}

// show answers with what every node does.
func (net *network) show(w http.ResponseWriter, r *http.Request) {
	peers := net.Node.Peers()
	members := make([]api.Member, 1+len(peers))
	members[0] = net.own(r.Context())
	var asked sync.WaitGroup
	for i, p := range peers {
		asked.Go(func() { members[1+i] = net.member(r.Context(), p) })
	}
	asked.Wait()
	net.seen.forgetOthers(peers)
	reply(w, http.StatusOK, jsonType, net.sum(members))
}

// sum is the network of these nodes.
func (net *network) sum(members []api.Member) api.Network {
	all := sum.Of(members)
	if net.Outsiders != nil {
		all.Outsiders = each(net.Outsiders(), outsiderOf)
	}
	if net.Ignored != nil {
		all.Ignored = api.Ignored(net.Ignored())
	}
	if net.Config.Copied != nil {
		all.Copied = net.Config.Copied()
	}
	return all
}

func outsiderOf(o mesh.Outsider) api.Outsider {
	return api.Outsider{
		Node: o.Node, Boot: o.Boot, At: o.At, By: string(o.By), Reason: string(o.Reason), Why: o.Why, Next: o.Next, Stranger: o.Stranger(), Since: o.Since, Seen: o.Seen,
	}
}

// own is the node that was asked.
func (net *network) own(ctx context.Context) api.Member {
	return api.Member{Status: StatusOf(net.Node.Status(ctx)), Seen: time.Now()}
}

// member asks one peer.
func (net *network) member(ctx context.Context, p mesh.Peer) api.Member {
	ctx, cancel := context.WithTimeout(ctx, memberTime)
	defer cancel()
	st, err := api.NewClientOver(p).Status(ctx)
	if err != nil {
		return net.silent(p, err)
	}
	return net.answered(p, st)
}

// answered is a peer that has said what it does.
func (net *network) answered(p mesh.Peer, st api.Status) api.Member {
	m := api.Member{Status: st, At: p.At(), Seen: time.Now()}
	net.seen.note(p, m.Seen)
	if p.Store() == nil {
		withoutStore(&m.Status)
	}
	return m
}

// withoutStore takes out what was told of the store already: the node that was
// asked has the same.
func withoutStore(st *api.Status) {
	st.Waiting, st.Inboxes, st.Behind, st.Away = []api.Waiting{}, nil, nil, nil
	for i := range st.Seeds {
		st.Seeds[i].Stored, st.Seeds[i].StoredBytes = 0, 0
	}
}

// silent is a peer that did not answer: only what its card says is known.
func (net *network) silent(p mesh.Peer, err error) api.Member {
	card := p.Card()
	st := api.Status{Node: card.Node, Seeds: []api.SeedStatus{}, Waiting: []api.Waiting{}, Version: card.Version, Refused: each(card.Refused, refusedOf), Leaving: card.Leaving}
	for _, s := range card.Seeds {
		st.Seeds = append(st.Seeds, api.SeedStatus{Manifest: s.Manifest, Figures: api.Figures{Since: s.Since, Cost: s.Cost}})
	}
	return api.Member{Status: st, At: p.At(), Trouble: err.Error(), Seen: net.seen.last(p)}
}

// askTime is how long a node has to answer what takes a look through its store.
const askTime = 10 * time.Second

// askOne asks a peer, which has that long.
func askOne[T any](ctx context.Context, p mesh.Peer, question func(context.Context, *api.Client) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return question(ctx, api.NewClientOver(p))
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

// forgetOthers forgets all but these.
func (s *seen) forgetOthers(peers []mesh.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.at, func(p mesh.Peer, _ time.Time) bool { return !slices.Contains(peers, p) })
}
