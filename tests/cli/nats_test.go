package cli_test

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rogpeppe/go-internal/testscript"
)

// nats is the command
//
//	nats VARIABLE
//
// which starts a NATS server with JetStream, as somebody else may run one, and
// puts its address into the variable. It ends with the script.
func nats(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: nats VARIABLE")
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "outside", Host: "127.0.0.1", Port: server.RANDOM_PORT,
		NoSigs: true, NoLog: true, JetStream: true, StoreDir: ts.MkAbs("nats"),
	})
	ts.Check(err)
	s.Start()
	ts.Defer(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(20 * time.Second) {
		ts.Fatalf("the NATS server is not ready")
	}
	ts.Setenv(args[0], s.ClientURL())
}
