package web

import (
	"net/http"

	"github.com/recap/pumpkin/internal/node"
	"github.com/recap/pumpkin/packet"
)

// ledgerRoutes tell what became of packets that are followed.
func ledgerRoutes(mux *router, n *node.Node) {
	for _, method := range []string{"GET", "DELETE"} {
		mux.HandleFunc(method+" /api/v1/ledgers/{id}", func(w http.ResponseWriter, r *http.Request) { ledger(w, r, n) })
	}
}

// ledger sums up a ledger, or forgets it and gives what it was.
func ledger(w http.ResponseWriter, r *http.Request, n *node.Node) {
	id, ok := valueOf(w, r.PathValue("id"), packet.ParseID)
	if !ok {
		return
	}
	sum, err := n.Ledger(r.Context(), id)
	if err == nil && r.Method == http.MethodDelete {
		err = n.Forget(r.Context(), id)
	}
	answer(w, ledgerOf(sum), err)
}
