package local

import "fmt"

// tooLong is the error for a socket whose address has no room for its path.
func tooLong(path string, most int) error {
	return fmt.Errorf("the path of the socket %s is %d bytes long; at most %d are allowed: set XDG_RUNTIME_DIR to a shorter path, or give the node or its group a shorter name", path, len(path), most)
}
