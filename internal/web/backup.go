package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A BackupOrder asks for a copy of what the node has stored.
type BackupOrder struct {
	// Dir is an absolute path on the node's machine. The folder does not exist,
	// or is empty.
	Dir string `json:"dir"`
}

// A BackupState is one line of the answer: how far the backup is. The last has Done,
// or Error.
type BackupState struct {
	// Large counts the pieces of large data that are copied, Of all, and Missing
	// those that are not there though frames name them.
	Large   int    `json:"large"`
	Of      int    `json:"of"`
	Missing int    `json:"missing"`
	Done    bool   `json:"done"`
	Error   string `json:"error,omitempty"`
}

// ErrNoBackup is a node that cannot be backed up, since it has no store of its own
// on a disk.
var ErrNoBackup = errors.New("there is nothing to back up")

// backupPause is how often at most a backup says how far it is.
const backupPause = time.Second

// backupRoute serves backups, to who comes through the node's socket: that is this
// user on this machine. What a node writes where is nobody else's to say.
func backupRoute(mux *router, run func(ctx context.Context, dir string, report func(BackupState)) (BackupState, error)) {
	mux.HandleFunc("POST /api/v1/backup", func(w http.ResponseWriter, r *http.Request) {
		if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); !ok || at.Network() != "unix" {
			refuse(w, http.StatusForbidden, 0, errors.New("a backup is asked for through the node's socket alone: use 'pmk store backup DIR' on its machine"))
			return
		}
		var order BackupOrder
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
		state, err := run(r.Context(), order.Dir, func(s BackupState) {
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

// Backup has the node copy what it has stored into a folder of its machine. visit is
// called as it goes on.
func (c *Client) Backup(ctx context.Context, dir string, visit func(BackupState)) (last BackupState, err error) {
	body, err := json.Marshal(BackupOrder{Dir: dir})
	if err != nil {
		return last, err
	}
	err = c.stream(ctx, http.MethodPost, "/api/v1/backup", bytes.NewReader(body), func(dec *json.Decoder) error {
		for {
			last = BackupState{}
			if err := dec.Decode(&last); err == io.EOF {
				return errors.New("the node has ended before the backup did")
			} else if err != nil {
				return fmt.Errorf("the node's answer: %w", err)
			}
			switch {
			case last.Error != "":
				return errors.New(last.Error)
			case last.Done:
				return nil
			}
			visit(last)
		}
	})
	return last, err
}
