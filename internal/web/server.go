// Package web serves a node over HTTP: the routes of the API under /api/v1, in the values of
// package api, and for Prometheus GET /metrics (package metrics). pmk itself reaches it over the
// node's Unix socket, which the mode of its folder protects; other nodes reach it over their
// connection to this one, and browsers and scripts over the address of --http, behind package
// front. openapi.json describes every route.
//
// A path below /api/v1/network means all nodes: the one that is asked asks the others, as any
// client would. The same path without it means only that node.
package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/recap/pumpkin/internal/web/metrics"
)

// Handler serves a node.
func Handler(cfg Config) http.Handler {
	return routes(cfg)
}

func routes(cfg Config) *router {
	n := cfg.Node
	mux := new(router)
	network := &network{Config: cfg}
	mux.HandleFunc("GET /api/v1/network", network.show)
	mux.HandleFunc("GET /metrics", metrics.Handler(n, cfg.Ignored, cfg.Outsiders).ServeHTTP)
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, jsonType, StatusOf(n.Status(r.Context())))
	})
	waitingRoutes(mux, network)
	storedRoutes(mux, network)
	sendRoutes(mux, n)
	ledgerRoutes(mux, n)
	traceRoutes(mux, network)
	pauseRoutes(mux, network)
	forgetRoutes(mux, network)
	backupRoute(mux, cfg.Backup)
	healthRoutes(mux, n, cfg.Copied)
	eventRoutes(mux, network)
	mux.HandleFunc("GET /api/v1/openapi.json", openAPI)
	if cfg.Page != nil {
		mux.Handle("GET /", cfg.Page)
		mux.Handle("GET /api/", http.HandlerFunc(nothing))
	} else {
		mux.HandleFunc("GET /{$}", hello)
	}
	mux.HandleFunc("/", nothing)
	return mux
}

// nothing is what stands where nothing is.
func nothing(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusNotFound, 0, fmt.Errorf("there is no %s %s", r.Method, r.URL.Path))
}

// Serve answers on l until ctx ends; requests under way then have a second to
// finish. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	<-done
	return nil
}
