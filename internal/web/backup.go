package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/recap/pumpkin/internal/api"
)

// ErrNoBackup is a node that cannot be backed up, since it has no store of its own
// on a disk.
var ErrNoBackup = errors.New("there is nothing to back up")

// backupPause is how often at most a backup says how far it is.
const backupPause = time.Second

// backupRoute serves backups, to who comes through the node's socket: that is this
// user on this machine. What a node writes where is nobody else's to say.
func backupRoute(mux *router, run func(ctx context.Context, dir string, report func(api.BackupState)) (api.BackupState, error)) {
	mux.HandleFunc("POST /api/v1/backup", func(w http.ResponseWriter, r *http.Request) {
		if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); !ok || at.Network() != "unix" {
			refuse(w, http.StatusForbidden, 0, errors.New("a backup is asked for through the node's socket alone: use 'pmk store backup DIR' on its machine"))
			return
		}
		var order api.BackupOrder
		if err := readOne(http.MaxBytesReader(w, r.Body, maxSelection), &order); err != nil {
			refuse(w, http.StatusBadRequest, 0, fmt.Errorf("where to back up to: %w", err))
			return
		}
		if run == nil {
			refuse(w, http.StatusConflict, 0, ErrNoBackup)
			return
		}
		var said time.Time
		enc := json.NewEncoder(w)
		begin := func() {
			if said.IsZero() {
				w.Header().Set("Content-Type", "application/x-ndjson")
			}
			said = time.Now()
		}
		state, err := run(r.Context(), order.Dir, func(s api.BackupState) {
			if time.Since(said) < backupPause {
				return
			}
			begin()
			_ = enc.Encode(s) // who has gone away has ended the context, too
			_ = http.NewResponseController(w).Flush()
		})
		switch {
		case err != nil && said.IsZero() && errors.Is(err, ErrNoBackup):
			refuse(w, http.StatusConflict, 0, err)
			return
		case err != nil && said.IsZero():
			refuse(w, http.StatusBadRequest, 0, err)
			return
		case err != nil:
			state.Error = err.Error()
		default:
			state.Done = true
		}
		begin()
		_ = enc.Encode(state) // likewise
	})
}
