package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// MaxAddress is the most bytes of an address at which a node says that it is reached,
	// and MaxAddresses how many of them it may say.
	MaxAddress   = 80
	MaxAddresses = 4
)

// CheckAddress says why a text cannot be where a node is reached: HOST:PORT, with a name or an
// address.
func CheckAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || len(text) > MaxAddress {
		return fmt.Errorf("%q is not HOST:PORT, of at most %d bytes; an example is 192.168.1.50:7900", text, MaxAddress)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q: the port is not a number from 1 to 65535; an example is 192.168.1.50:7900", text)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
			return fmt.Errorf("%q: %s is not an address by which another machine reaches one node", text, host)
		}
		return nil
	}
	for _, r := range host {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", r) {
			return fmt.Errorf("%q: a name of a machine has no %q; an example is node1.example.org:7900", text, r)
		}
	}
	return nil
}

// CheckAddresses says why these cannot be where one node is reached.
func CheckAddresses(texts []string) error {
	if len(texts) > MaxAddresses {
		return fmt.Errorf("%d addresses; at most %d are allowed", len(texts), MaxAddresses)
	}
	var all []error
	for _, text := range texts {
		all = append(all, CheckAddress(text))
	}
	return errors.Join(all...)
}
