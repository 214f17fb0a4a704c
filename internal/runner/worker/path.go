package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/packet"
)

// pathsFolder holds, in a worker's folder, the data of the packets that it has.
const pathsFolder = "data"

// byPath tells whether the seed is given its data's path in place of the data.
// The supervisor of a program that runs for each packet does this itself.
func (w *worker) byPath() bool { return w.m.DataPath && w.spec.Role != supervise.Each }

// asPaths writes the data of a batch into files and returns the batch with
// their paths as its data, where the seed asks for that with pmk-data.
func (w *worker) asPaths(batch []packet.Packet) ([]packet.Packet, error) {
	if !w.byPath() || len(w.m.Contract.In) == 0 {
		return batch, nil
	}
	dir := filepath.Join(w.work, pathsFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("a place for the data: %w", err)
	}
	out := make([]packet.Packet, len(batch))
	for i := range batch {
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(path, []byte(batch[i].Data), 0o600); err != nil {
			return nil, fmt.Errorf("write the data: %w", err)
		}
		out[i] = batch[i]
		out[i].Data = path
	}
	return out, nil
}

// removePaths removes what asPaths wrote.
func (w *worker) removePaths() error {
	if !w.byPath() {
		return nil
	}
	return os.RemoveAll(filepath.Join(w.work, pathsFolder))
}
