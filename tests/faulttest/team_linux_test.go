package faulttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/local"
	"github.com/recap/pumpkin/internal/mesh/key"
	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/tests/faulttest/lan"
)

const (
	// teamQuota is how many packets a round has at each node that they are sent
	// to.
	teamQuota = 200
	// meetTime is how long nodes may take to know each other, with a machine
	// that has much else to do.
	meetTime = 45 * time.Second
)

// A team is several nodes on a LAN, each on a host of its own, under load.
type team struct {
	t     *testing.T
	name  string
	run   uint64
	rand  *rand.Rand
	work  string
	group string
	key   string // its file
	lan   *lan.LAN

	members []*member
	arrivals
	met, drained time.Duration // the longest that a healed network took
}

// A member is one node of a team, whether or not it runs now.
type member struct {
	team  *team
	title string
	half  lan.Half
	host  *lan.Host
	args  []string
	seeds int    // that it hosts
	dir   string // for its data and where it is met
	meet  string // the folder of its socket
	sink  string // the file for what it extracts
	log   *os.File
	node  *nodeProcess // nil until it has run
	name  string       // that the node gave itself
	feed  *feed        // nil where nothing is sent to
}

// A role is what a member does.
type role struct {
	half  lan.Half
	title string
	sends bool
	seeds int
	args  []string
}

// What members may do. A sender and a worker are both needed for what starts in
// the state FAR.
func sender(half lan.Half) role {
	return role{half, "sender", true, 1, []string{"--without", "pass", "--without", "note"}}
}

func worker(half lan.Half) role {
	return role{half, "worker", false, 1, []string{"--without", "carry", "--without", "note"}}
}

func extractor(half lan.Half) role {
	return role{half, "extractor", false, 1, []string{"--without", "carry", "--without", "pass"}}
}

// both is a sender that works as well.
func both(half lan.Half) role {
	return role{half, "both", true, 2, []string{"--without", "note"}}
}

// with is the role with other arguments as well.
func (r role) with(args ...string) role {
	r.args = append(slices.Clone(r.args), args...)
	return r
}

// company is a network of five, of which either half is one by itself.
func company() []role {
	return []role{sender(lan.Left), worker(lan.Left), extractor(lan.Left), both(lan.Right), extractor(lan.Right)}
}

// newTeam makes a team whose nodes do not run yet.
func newTeam(t *testing.T, name string, roles ...role) *team {
	t.Helper()
	run, own := seeds(t)
	r := &team{
		t: t, name: "lan: " + name, run: run ^ own, rand: rand.New(rand.NewPCG(run, own)), work: t.TempDir(),
		group: "team", lan: lan.New(t),
	}
	r.key = r.keyFile("lan.key", key.New())
	r.arrivals = newArrivals(t, filepath.Join(r.work, "sink"))
	t.Cleanup(func() { r.sink.Close() })
	for _, role := range roles {
		r.members = append(r.members, newMember(r, fmt.Sprintf("%s%d", role.title, len(r.members)), role, r.key))
	}
	return r
}

// keyFile writes a key down.
func (r *team) keyFile(name string, k key.Key) string {
	r.t.Helper()
	path := filepath.Join(r.work, name)
	if err := os.WriteFile(path, []byte(k.Text()+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// newMember makes a node on a host of its own, with the key in that file.
func newMember(r *team, title string, role role, keyFile string) *member {
	r.t.Helper()
	m := &member{
		team: r, title: title, half: role.half, host: r.lan.Host(role.half), seeds: role.seeds, dir: filepath.Join(r.work, title),
		sink: r.sink.Name(),
	}
	k, err := key.Read(keyFile)
	if err != nil {
		r.t.Fatal(err)
	}
	m.meet = filepath.Join(m.dir, "pumpkin", r.group, k.Group(r.group).Fingerprint())
	m.args = append(slices.Clone(role.args), "--group", r.group, "--key", keyFile, "--debug")
	if !slices.Contains(role.args, "--durability") {
		m.args = append(m.args, "--data", filepath.Join(m.dir, "data"))
	}
	if role.sends {
		m.feed = newFeed(r.run + uint64(len(r.members)))
		m.feed.draw = func(r *rand.Rand) api.Sending { return farPacket(drawID(r), r) }
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if m.log, err = os.Create(filepath.Join(m.dir, "log")); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(m.close)
	return m
}

// close ends the node if it still runs, and shows what it said if the test failed.
func (m *member) close() {
	if m.feed != nil {
		m.feed.change(func() { m.feed.ended = true })
	}
	if m.node != nil {
		m.node.kill()
	}
	m.log.Close()
	if m.team.t.Failed() {
		m.team.t.Logf("the end of the log of %s:\n%s", m.title, tail(m.said(), 5000))
	}
}

// said is the member's log.
func (m *member) said() string {
	text, err := os.ReadFile(m.log.Name())
	if err != nil {
		m.team.t.Error(err)
	}
	return string(text)
}

// launch starts the node without waiting for it.
func (m *member) launch() {
	m.team.t.Helper()
	m.node = newProcess(m.seeds, m.sink, m.log, m.args...)
	m.node.cmd.Env = append(m.node.cmd.Env, "XDG_RUNTIME_DIR="+m.dir)
	m.node.find = m.find
	if err := m.node.begin(m.host.Start); err != nil {
		m.team.t.Fatalf("start %s: %v", m.title, err)
	}
}

// find looks for the node in the folder that is this member's alone.
func (m *member) find(ctx context.Context) ([]local.Peer, error) {
	all, err := local.Sockets(m.meet)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		conn, err := p.Dial(ctx)
		if err == nil {
			return []local.Peer{p}, conn.Close()
		}
	}
	return nil, errors.New("it does not listen yet")
}

// up waits until the node is ready.
func (m *member) up() {
	m.team.t.Helper()
	if err := m.node.ready(meetTime); err != nil {
		m.team.t.Fatalf("start %s: %v", m.title, err)
	}
	st, err := m.node.status()
	if err != nil {
		m.team.t.Fatalf("start %s: %v", m.title, err)
	}
	m.name = st.Node
	if m.feed != nil {
		m.feed.change(func() { m.feed.client = m.node.client })
	}
}

// start starts the nodes of those members.
func (r *team) start(members ...*member) {
	r.t.Helper()
	for _, m := range members {
		m.launch()
	}
	for _, m := range members {
		m.up()
	}
}

// away is called when a member's node does not run any more: its senders wait for
// the next.
func (m *member) away() {
	if m.feed != nil {
		m.feed.change(func() { m.feed.client = nil })
	}
	if m.node.client != nil {
		m.node.client.Close()
	}
}

// kill ends the node without a warning.
func (m *member) kill() {
	m.node.kill()
	m.away()
}

// knows are the names of the nodes that a member's node works with, itself
// included, in order.
func (m *member) knows() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := m.node.client.Network(ctx)
	var names []string
	for _, n := range all.Nodes {
		names = append(names, n.Node)
	}
	slices.Sort(names)
	return names, err
}

// together waits until each of those members knows the others and nobody else.
func (r *team) together(members ...*member) {
	r.t.Helper()
	var names []string
	for _, m := range members {
		names = append(names, m.name)
	}
	slices.Sort(names)
	limit := time.Now().Add(meetTime)
	for _, m := range members {
		for {
			known, err := m.knows()
			if err == nil && slices.Equal(known, names) {
				break
			}
			if time.Now().After(limit) {
				r.t.Fatalf("after %v, %s (%s) knows %q; expected %q: %v", meetTime, m.title, m.name, known, names, err)
			}
			time.Sleep(20 * time.Millisecond) // it is another process: nothing tells
		}
	}
}

// load has senders send until the function that it returns is called.
func (r *team) load() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, f := range r.feeds() {
		group.Go(func() { f.run(ctx) })
	}
	return func() {
		for _, f := range r.feeds() {
			f.change(func() { f.ended = true })
		}
		defer time.AfterFunc(10*time.Second, cancel).Stop()
		group.Wait()
		cancel()
	}
}

func (r *team) feeds() (all []*feed) {
	for _, m := range r.members {
		if m.feed != nil {
			all = append(all, m.feed)
		}
	}
	return all
}

// allow allows every feed a round's packets.
func (r *team) allow(most int) {
	for _, f := range r.feeds() {
		f.change(func() { f.quota = f.acked + most })
	}
}

// moment allows a round's packets and waits until a random one of them was
// acknowledged by one of the nodes, and then a little.
func (r *team) moment() {
	r.t.Helper()
	feeds := r.feeds()
	f := feeds[r.rand.IntN(len(feeds))]
	aim := 0
	f.change(func() { aim = f.acked + 1 + r.rand.IntN(teamQuota-2*senders) })
	r.allow(teamQuota)
	if !f.until(time.Minute, func() bool { return f.acked >= aim }) {
		r.t.Fatalf("for a minute, a node has not taken %d packets: %v", teamQuota, f.fault)
	}
	time.Sleep(time.Duration(r.rand.IntN(5000)) * time.Microsecond) // between acknowledgements too
}

// spend waits until every feed has sent what it may.
func (r *team) spend() {
	r.t.Helper()
	for _, f := range r.feeds() {
		if !f.until(time.Minute, func() bool { return f.acked >= f.quota }) {
			r.t.Fatalf("for a minute, a node takes nothing: %v", f.fault)
		}
	}
}

// all is what was sent, to any node.
func (r *team) all() map[packet.ID]sent {
	all := map[packet.ID]sent{}
	for _, f := range r.feeds() {
		f.change(func() { maps.Copy(all, f.all) })
	}
	return all
}

// drain waits until every packet that is acknowledged by now has arrived, or
// nothing does any more; it tells whether all has.
func (r *team) drain() bool {
	r.t.Helper()
	all := r.all()
	r.read(r.t)
	missing := r.tally.missing(all)
	for last := time.Now(); len(missing) > 0 && time.Since(last) < patience; {
		if r.read(r.t) == 0 {
			time.Sleep(10 * time.Millisecond) // it is other processes' file: nothing tells
			continue
		}
		last = time.Now()
		missing = slices.DeleteFunc(missing, func(id packet.ID) bool {
			_, ok := r.tally.as[id]
			return ok
		})
	}
	return len(missing) == 0
}

// heal waits until those members' nodes are one network and what they had
// acknowledged has arrived, and notes how long that took.
func (r *team) heal(members ...*member) {
	r.t.Helper()
	since := time.Now()
	r.together(members...)
	r.met = max(r.met, time.Since(since))
	if !r.drain() {
		r.tellWaiting()
		r.t.Fatalf("for %v nothing arrives, and packets are missing", patience)
	}
	r.drained = max(r.drained, time.Since(since))
}

// tellWaiting logs what rests in the nodes' stores: what did not arrive may be
// there.
func (r *team) tellWaiting() {
	for _, m := range r.members {
		if m.node.client == nil {
			continue // it was never ready
		}
		st, err := m.node.status()
		if err != nil {
			r.t.Logf("%s: %v", m.title, err)
			continue
		}
		for _, s := range st.Seeds {
			r.t.Logf("%s: seed %s: %d stored, %d queued, %d running", m.title, s.Manifest.Name, s.Stored, s.Queued, s.Running)
		}
		for _, i := range st.Inboxes {
			r.t.Logf("%s: %d packets lie for the seed %s", m.title, i.Packets, i.Seed)
		}
		for _, w := range st.Waiting {
			r.t.Logf("%s: %s: %d packets wait: %s", m.title, w.Place(), w.Packets, w.Why)
			if w.State == "" {
				continue
			}
			err := m.node.client.EachInState(r.t.Context(), w.State, api.Ask{Limit: 3, Waiting: true}, func(p api.Packet) error {
				r.t.Logf("  packet %s of %s, failed: %+v", p.ID, p.Ship, p.Fault)
				return nil
			})
			if err != nil {
				r.t.Log(err)
			}
		}
		if len(st.Store.Damage) > 0 {
			r.t.Logf("%s: damage: %q", m.title, st.Store.Damage)
		}
	}
}

// finish waits for the last packets, ends the nodes, and reports what came of all
// packets.
func (r *team) finish(rounds int, more ...string) {
	r.t.Helper()
	if !r.drain() {
		r.tellWaiting()
	}
	for _, m := range r.members {
		m.away()
		if !m.node.end(20 * time.Second) {
			r.t.Errorf("%s did not end within 20 s of SIGTERM", m.title)
		}
	}
	r.read(r.t)
	v := r.tally.judge(r.all())
	if r.drained > 0 {
		more = append(more, fmt.Sprintf("healed in %s, drained in %s", short(r.met), short(r.drained)))
	}
	report(r.name, rounds, v, more...)
	v.check(r.t)
}

// short is a time for people.
func short(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// farPacket is the packet of that id: half of them have one seed more before them.
func farPacket(id packet.ID, r *rand.Rand) api.Sending {
	p := api.Sending{ID: id, State: "String:RAW", Data: []byte(dataOf(id))}
	if r.IntN(2) == 0 {
		p.State = "String:FAR"
	}
	return p
}
