package local

import (
	"github.com/recap/pumpkin/packet"
)

// Folder is where the nodes of the group meet under that name. It makes what is
// missing of it.
func Folder(group, meet string) (string, error) {
	if err := checkFolder(group, meet); err != nil {
		return "", err
	}
	return Dir(group, meet)
}

// checkFolder refuses what would lead to another folder.
func checkFolder(group, meet string) error {
	if err := packet.CheckName("group", group); err != nil {
		return err
	}
	return packet.CheckName("folder where nodes meet", meet)
}

// Meet is the folder, below a group's, of the nodes that have no key. Those with
// one meet in a folder with a name of their own.
const Meet = "local"
