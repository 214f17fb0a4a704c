package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/recap/pumpkin/internal/runner"
	"github.com/recap/pumpkin/internal/runner/supervise"
	"github.com/recap/pumpkin/packet"
)

// paths is the folder in a worker's folder that holds the data of the packets that it
// has. A program that runs for each packet finds that of its packet as "data" beside it.
func (c *child) paths() string {
	if c.spec.Role == supervise.Each {
		return filepath.Join(c.work, "given")
	}
	return filepath.Join(c.work, "data")
}

// byPath tells whether the seed is given its data's path in place of the data.
func (c *child) byPath() bool { return c.m.DataPath }

// asPaths writes the data of a batch into files and returns the batch with
// their paths as its data, where the seed asks for that with pmk-data.
func (c *child) asPaths(batch []packet.Packet) ([]packet.Packet, error) {
	if !c.byPath() || len(c.m.Contract.In) == 0 {
		return batch, nil
	}
	dir := c.paths()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("a place for the data: %w", err)
	}
	out := make([]packet.Packet, len(batch))
	for i := range batch {
		path := filepath.Join(dir, strconv.Itoa(i)+runner.Ending(batch[i].Attributes(), batch[i].ID == batch[i].Ship.Root))
		if err := c.writeFile(path, &batch[i]); err != nil {
			return nil, fmt.Errorf("write the data: %w", err)
		}
		out[i] = batch[i]
		out[i].Data, out[i].Blob = path, nil
	}
	return out, nil
}

// writeFile writes the data of p into a new file.
func (c *child) writeFile(path string, p *packet.Packet) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(c.writeData(file, p), file.Close())
}

// removePaths removes what asPaths wrote.
func (c *child) removePaths() error {
	if !c.byPath() {
		return nil
	}
	return os.RemoveAll(c.paths())
}
