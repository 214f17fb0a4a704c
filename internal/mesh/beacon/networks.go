package beacon

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// networks are the broadcast addresses of the networks that this machine is on
// now, each once; of the loopback interface alone where that is asked for.
func networks(loopback bool) ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("look for networks: %w", err)
	}
	var out []netip.Addr
	for _, i := range interfaces {
		wanted := i.Flags&net.FlagBroadcast != 0 && i.Flags&net.FlagLoopback == 0
		if loopback {
			wanted = i.Flags&net.FlagLoopback != 0
		}
		if !wanted || i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it went away since it was listed; the next look does not find it
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue // an address without a network
			}
			if to, ok := broadcast(p); ok && !slices.Contains(out, to) {
				out = append(out, to)
			}
		}
	}
	return out, nil
}

// broadcast is the last address of an IPv4 network; those of one or two addresses
// have none (RFC 3021).
func broadcast(p netip.Prefix) (netip.Addr, bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}, false
	}
	a := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(a), true
}
