package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// Serve answers on l until ctx ends, and closes it. With secure given, it speaks
// TLS with whoever passes it and nothing else; without, the listener is to let
// in only who may: the API is then answered over HTTP/1 as well. When ctx ends
// all sessions end, other requests have a second to finish, and Serve returns
// when nothing of what it answered goes on.
func (s *Server) Serve(ctx context.Context, l net.Listener, secure *tls.Config, gate *Gate) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: handshakeTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHead,
		HTTP2:             http2(),
		Protocols:         new(http.Protocols),
		ErrorLog:          log.New(io.Discard, "", 0), // who breaks a connection is told by its end
	}
	if secure != nil {
		server.Protocols.SetHTTP2(true)
		l = gate.listen(l, secure)
	} else {
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	var err error
	select {
	case err = <-done:
		done <- err
	case <-ctx.Done():
	}
	s.end()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close() // what did not finish in time is cut off
	}
	err = <-done
	s.End()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
