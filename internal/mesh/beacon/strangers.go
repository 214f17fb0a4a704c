package beacon

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxStrangers is how many nodes without the key are remembered: of who sends beacons in
	// many names the oldest go.
	maxStrangers = 8
	// strangerTime is how long one is remembered after its last beacon, and strangerAge how
	// long it has to be there before the log tells of it.
	strangerTime = time.Minute
	strangerAge  = 10 * time.Second
	// maxTold is how many of them the log tells of.
	maxTold = 32
)

// A Stranger is where beacons come from that are not sealed with this network's key: they
// are of another key or group, or forged.
type Stranger struct {
	Addr        netip.AddrPort
	Since, Seen time.Time
	told        bool
}

// strangers are the last of them, the one heard last at the end.
type strangers struct {
	list []Stranger
	told int
}

// hear notes a beacon, and tells whether the log is to tell of its sender: once, of one that
// stays, and not of any number of them.
func (s *strangers) hear(addr netip.AddrPort, now time.Time) (tell bool) {
	heard := Stranger{Addr: addr, Since: now}
	if i := slices.IndexFunc(s.list, func(o Stranger) bool { return o.Addr == addr }); i >= 0 {
		heard = s.list[i]
		s.list = slices.Delete(s.list, i, i+1)
	} else if len(s.list) >= maxStrangers {
		s.list = slices.Delete(s.list, 0, 1)
	}
	if now.Sub(heard.Seen) > strangerTime {
		heard.Since = now
	}
	heard.Seen = now
	tell = !heard.told && now.Sub(heard.Since) > strangerAge && s.told < maxTold
	if tell {
		heard.told = true
		s.told++
	}
	s.list = append(s.list, heard)
	return tell
}

// foreign notes a beacon that is not sealed with the key.
func (b *Beacon) foreign(addr netip.AddrPort, now time.Time) {
	b.mu.Lock()
	tell := b.strangers.hear(addr, now)
	b.mu.Unlock()
	if tell {
		b.log.Info("a node nearby has another key, or is in another group; give both the same --key and --group if it belongs here", "at", "tcp://"+addr.String())
	}
}

// Strangers are the last nodes without the key that were heard within a minute. Who sends
// beacons can make them name any address.
func (b *Beacon) Strangers() []Stranger {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(b.strangers.list), func(s Stranger) bool { return now.Sub(s.Seen) > strangerTime })
}

// portOf is the TCP port that a beacon names, whoever sealed it.
func portOf(data []byte) uint16 { return binary.BigEndian.Uint16(data[head-2:]) }
