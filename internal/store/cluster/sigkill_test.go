package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/recap/pumpkin/internal/store"
	"github.com/recap/pumpkin/internal/store/cluster"
	"github.com/recap/pumpkin/internal/testenv"
)

// A sigkilled says what the server of a process is to be that will be killed.
type sigkilled struct {
	Name, Dir     string
	Client, Route int    // ports
	Routes        string // of all servers
}

// sigkillEnv has a process be that server.
const sigkillEnv = "PMK_TEST_NATS_SIGKILL"

// TestBeSigkilled does nothing in the process of the tests. In one that
// startSigkilled started, it is a server until that is killed, or the process of the
// tests is no more.
func TestBeSigkilled(t *testing.T) {
	if os.Getenv(sigkillEnv) == "" {
		return
	}
	var v sigkilled
	if err := json.Unmarshal([]byte(os.Getenv(sigkillEnv)), &v); err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: v.Name, Host: "127.0.0.1", Port: v.Client, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: v.Dir,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: v.Route}, Routes: server.RoutesFromStr(v.Routes),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the process of the tests
	s.Shutdown()
	s.WaitForShutdown()
}

// startSigkilled starts the server in a process of its own and gives what kills it.
func startSigkilled(t *testing.T, v sigkilled) (kill func()) {
	t.Helper()
	how, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestBeSigkilled$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), sigkillEnv+"="+string(how))
	if _, err := cmd.StdinPipe(); err != nil { // open for as long as this process is
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // which says that it was killed
	})
	t.Cleanup(kill)
	testenv.Eventually(t, 30*time.Second, "the server "+v.Name+" listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", v.Client))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return kill
}

// TestServerSigkilled kills one of three servers with SIGKILL under load and starts
// it again, while two nodes append unique frames and take each other's: what was
// acknowledged to who appended it arrives.
func TestServerSigkilled(t *testing.T) {
	t.Parallel()
	var all [3]sigkilled
	var urls []string
	routes := ""
	for i := range all {
		all[i] = sigkilled{Name: fmt.Sprintf("server-%d", i), Dir: t.TempDir(), Client: sigkilledPort(t), Route: sigkilledPort(t)}
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", all[i].Client))
		if i > 0 {
			routes += ","
		}
		routes += fmt.Sprintf("nats://127.0.0.1:%d", all[i].Route)
	}
	var kills [3]func()
	for i := range all {
		all[i].Routes = routes
		kills[i] = startSigkilled(t, all[i])
	}
	var nodes []*cluster.Store
	testenv.Eventually(t, 3*time.Minute, "the cluster takes two nodes", func() bool {
		s, err := cluster.Open(t.Context(), cluster.Config{URLs: urls, Group: "faults"})
		if err != nil {
			return false // it has no leader yet
		}
		t.Cleanup(func() { s.Close() })
		nodes = append(nodes, s)
		return len(nodes) == 2
	})

	var mu sync.Mutex
	stored, came, refused := map[string]bool{}, map[string]int{}, 0
	count := func() (int, int) { mu.Lock(); defer mu.Unlock(); return len(stored), len(came) }
	queues := []store.Queue{"in.a", "in.b"}
	appending, stop := context.WithCancel(t.Context())
	pulling, end := context.WithCancel(t.Context())
	defer end()
	defer stop()
	var appenders, pullers sync.WaitGroup
	for i, s := range nodes {
		for j, at := range queues {
			appenders.Go(func() {
				for n := 0; appending.Err() == nil; {
					data := fmt.Sprintf("%d-%d-%d", i, j, n)
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					err := s.Commit(ctx, &store.Tx{Append: []store.Append{{To: at, Frame: store.Frame{Data: []byte(data), Packets: 1}}}, Durable: true})
					cancel()
					mu.Lock()
					if err == nil {
						stored[data] = true
						n++
					} else {
						refused++ // it is appended again
					}
					mu.Unlock()
				}
			})
			pullers.Go(func() {
				for {
					leases, err := s.Pull(pulling, at, 8)
					if err != nil {
						return
					}
					mu.Lock()
					for _, l := range leases {
						came[string(l.Data())]++
					}
					mu.Unlock()
					for _, l := range leases {
						if err := l.Ack(); err != nil {
							t.Errorf("ack: %v", err)
						}
					}
				}
			})
		}
	}
	more := func(what string) {
		before, _ := count()
		testenv.Eventually(t, 60*time.Second, "packets flow "+what, func() bool { now, _ := count(); return now > before+100 })
	}
	more("at first")
	kills[0]()
	more("without a server")
	startSigkilled(t, all[0])
	more("with all of them again")
	for i, s := range nodes {
		if n := s.Replicas(); n != 3 {
			t.Errorf("node %d keeps frames on %d servers; expected 3", i, n)
		}
		testenv.Eventually(t, 30*time.Second, "the store has no trouble", func() bool { return s.State().Err == nil })
	}
	stop()
	appenders.Wait()
	lost := func() []string {
		mu.Lock()
		defer mu.Unlock()
		var all []string
		for data := range stored {
			if came[data] == 0 {
				all = append(all, data)
			}
		}
		return all
	}
	testenv.Eventually(t, 30*time.Second, "all that was acknowledged came", func() bool { return len(lost()) == 0 })
	end()
	pullers.Wait()
	twice := 0
	for _, n := range came {
		twice += n - 1
	}
	t.Logf("%d frames acknowledged, 0 lost, %d came again, %d appends tried again", len(stored), twice, refused)
}

// sigkilledPort is a port that was free a moment ago: the process that takes it
// has to be known to the others before it starts.
func sigkilledPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
