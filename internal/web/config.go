package web

import (
	"context"
	"net/http"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/mesh"
	"github.com/recap/pumpkin/internal/node"
)

// Config says what is served.
type Config struct {
	Node *node.Node
	// Outsiders lists the nodes that were seen and are not reached; nil is none.
	Outsiders func() []mesh.Outsider
	// Ignored counts what came from strangers; nil is not known.
	Ignored func() mesh.Ignored
	// Copied says what the node's data folder is a copy of, so that it runs nothing of what lies
	// there; "", or nil, is nothing.
	Copied func() string
	// Backup copies what the node has stored into a folder; nil refuses.
	Backup func(ctx context.Context, dir string, report func(api.BackupState)) (api.BackupState, error)
	// Page serves what is not the API, for people; nil serves a text that names
	// the API's description.
	Page http.Handler
}
