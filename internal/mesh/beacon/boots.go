package beacon

import (
	"container/list"

	"github.com/recap/pumpkin/packet"
)

// maxBoots is how many boots are remembered: some 200 bytes each.
const maxBoots = 4096

// A boots remembers the last number of each boot, of at most most of them: who was
// not heard for longest is forgotten first. A boot that was forgotten is news
// again, which costs a connection that fails.
type boots struct {
	most  int
	by    map[packet.ID]*list.Element
	order *list.List // of *lastOf, the one heard last in front
}

type lastOf struct {
	boot   packet.ID
	number uint64
}

// What a beacon's number says of it.
type news int

const (
	fresh     news = iota // above the last of its boot
	newcomer              // the first of its boot
	duplicate             // the last once more: it came over another network, or is a replay
	replay                // below the last
)

func newBoots(most int) *boots {
	return &boots{most: most, by: map[packet.ID]*list.Element{}, order: list.New()}
}

func (b *boots) hear(boot packet.ID, number uint64) news {
	e := b.by[boot]
	if e == nil {
		if b.order.Len() >= b.most {
			oldest := b.order.Remove(b.order.Back()).(*lastOf)
			delete(b.by, oldest.boot)
		}
		b.by[boot] = b.order.PushFront(&lastOf{boot, number})
		return newcomer
	}
	last := e.Value.(*lastOf)
	switch {
	case number < last.number:
		return replay
	case number == last.number:
		return duplicate
	}
	last.number = number
	b.order.MoveToFront(e)
	return fresh
}
