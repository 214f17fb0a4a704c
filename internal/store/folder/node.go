package folder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// NodeFile describes a data folder.
	NodeFile = "node.json"
	// nodeVersion is the version of a data folder's layout. In version 1
	// packets were in the files of a message server.
	nodeVersion = 2
)

// A Node is what a data folder remembers of its node.
type Node struct {
	Version int    `json:"version"`
	Name    string `json:"node"`
	Group   string `json:"group"`
	// Key is the fingerprint of the key whose network the node belongs to, or NoKey;
	// "" is not known yet.
	Key string `json:"key,omitempty"`
	// Machine is where the node ran last, as hold.Machine names it; "" is not known.
	Machine string `json:"machine,omitempty"`
	// Origin is the ID of the folder that this one is a backup of; "" is none.
	Origin string `json:"origin,omitempty"`
	// Place is where the folder was then, as place names it; "" is not known.
	Place string `json:"place,omitempty"`
	// StoreSize is how many bytes roots may take. It is decided at the
	// folder's first start and stays, however full the disk becomes.
	StoreSize int64     `json:"store_size"`
	Created   time.Time `json:"created"`
}

// ID names the folder: it is the same in each copy and each backup of it.
func (n *Node) ID() string {
	if n.Origin != "" {
		return n.Origin
	}
	sum := sha256.Sum256([]byte(n.Name + "\n" + n.Group + "\n" + n.Created.UTC().Format(time.RFC3339)))
	return hex.EncodeToString(sum[:8])
}

// NoKey is the key of a node that has none.
const NoKey = "none"

// Ours tells whether a node that me describes may take the folder by itself: it is of the
// same group, key and machine. What is not known is no difference.
func (n *Node) Ours(me *Node) bool {
	return n.mismatch("", me) == nil && (n.Machine == "" || me.Machine == "" || n.Machine == me.Machine)
}

// mismatch says why a node that me describes is not to have the folder dir, which n
// describes: it would take packets of one network into another. It is an [ErrOther].
func (n *Node) mismatch(dir string, me *Node) error {
	const export = "; 'pmk store export %s --to NEW' writes its packets to files, which any node takes with --rx NEW"
	switch {
	case me.Group != "" && n.Group != me.Group:
		return fmt.Errorf("the data folder %s %w the group %s, this node to %s: start it with --group %s, or choose another with --data DIR", dir, ErrOther, n.Group, me.Group, n.Group)
	case me.Key == "" || n.Key == "" || n.Key == me.Key:
		return nil
	case n.Key == NoKey:
		return fmt.Errorf("the data folder %s %w nodes without a key, and this node has one: start it without --key, or choose another with --data DIR"+export, dir, ErrOther, dir)
	case me.Key == NoKey:
		return fmt.Errorf("the data folder %s %w the network of the key %s, and this node has no key: start it with --key FILE, or choose another with --data DIR"+export, dir, ErrOther, n.Key, dir)
	}
	return fmt.Errorf("the data folder %s %w the network of the key %s, and this node's key is %s: start it with the other key, or choose another with --data DIR"+export, dir, ErrOther, n.Key, me.Key, dir)
}

// A described is how a Node lies in the file: with a checksum, so that a flipped
// bit in a group's name is not taken for another group. The sum is SHA-256 of
// the compact JSON of Node, in hex; what a newer version adds there is part of
// it.
type described struct {
	Node json.RawMessage `json:"folder"`
	Sum  string          `json:"sha256"`
}

func sumOf(node json.RawMessage) (string, error) {
	var text bytes.Buffer
	if err := json.Compact(&text, node); err != nil {
		return "", err
	}
	sum := sha256.Sum256(text.Bytes())
	return hex.EncodeToString(sum[:]), nil
}

// parse reads what writeNode wrote.
func (n *Node) parse(data []byte) error {
	var d described
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	sum, err := sumOf(d.Node)
	switch {
	case err != nil:
		return err
	case sum != d.Sum:
		return errors.New("its checksum is wrong")
	}
	if err := json.Unmarshal(d.Node, n); err != nil {
		return err
	}
	if n.Version < 1 {
		return fmt.Errorf("version %d", n.Version)
	}
	return nil
}

// ReadNode reads the description of a folder. A folder that has none is
// [os.ErrNotExist].
func ReadNode(dir string) (Node, error) {
	path := filepath.Join(dir, NodeFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return Node{}, fmt.Errorf("read the description of a data folder: %w", access(err))
	}
	var n Node
	if err := n.parse(data); err != nil {
		return Node{}, fmt.Errorf("%s: %w: %w; remove it to have a new one written", path, ErrDescription, err)
	}
	if n.Version < nodeVersion {
		return Node{}, fmt.Errorf("the data folder %s was %w (its version is %d, this one's is %d); nothing of it is read: choose another with --data DIR or remove it",
			dir, ErrOlder, n.Version, nodeVersion)
	}
	if n.Version > nodeVersion {
		return Node{}, fmt.Errorf("the data folder %s: %w (its version is %d, this one knows %d); use that pmk, or choose another folder with --data DIR",
			dir, ErrNewer, n.Version, nodeVersion)
	}
	return n, nil
}

// writeNode puts the description into the folder, whole or not at all.
func writeNode(dir string, n Node) error {
	var d described
	var err error
	if d.Node, err = json.Marshal(n); err == nil {
		d.Sum, err = sumOf(d.Node)
	}
	var data []byte
	if err == nil {
		data, err = json.MarshalIndent(d, "", "  ")
	}
	if err != nil {
		return fmt.Errorf("describe the data folder: %w", err)
	}
	if err := WriteFile(filepath.Join(dir, NodeFile), append(data, '\n')); err != nil {
		return fmt.Errorf("describe the data folder %s: %w; choose another with --data DIR", dir, access(err))
	}
	return nil
}

// Describe makes the folder, which is there, a data folder of the node: what a node
// finds that starts with it.
func Describe(dir string, n Node) error {
	n.Version, n.Created = nodeVersion, time.Now().UTC().Truncate(time.Second)
	return writeNode(dir, n)
}

// WriteFile puts a file in place of another or of none, so that after a crash
// either is there, and what is there is whole.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // in vain once it has its place
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// MakeDir makes a folder, and those that it lies in, so that their names last: a
// power loss takes a name away whose folder was not synced, and all below it.
func MakeDir(path string) error {
	var made []string
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		made = append(made, dir)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for _, dir := range made {
		if err := SyncDir(filepath.Dir(dir)); err != nil {
			return fmt.Errorf("make the folder %s last: %w", dir, err)
		}
	}
	return nil
}

// SyncDir makes the names in a folder last.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
