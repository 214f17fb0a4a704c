package packet

import (
	"fmt"
	"math"
	"strings"

	"github.com/recap/pumpkin/internal/strict"
)

// The bits of a classic packet's aux.
const (
	auxTiming    = 1 << iota // time every run
	auxTrack                 // keep the data of every hop
	auxAck                   // acknowledge every hop
	auxTracer                // a probe of the network
	auxBroadcast             // to every seed
	auxForce                 // even if it was there before
	auxAll       = 1<<iota - 1
)

// notHonoured says, for each bit of aux that asks for something a node does
// not do, or does anyway, why.
func notHonoured(aux int64) []string {
	var why []string
	for _, bit := range []struct {
		bit  int64
		text string
	}{
		{auxTiming, "aux 1 (timing): every hop's time is kept anyway"},
		{auxAck, "aux 4 (acknowledge): every packet is acknowledged anyway"},
		{auxTracer, "aux 8 (tracer): there are no tracer packets; pmk graph shows the network"},
		{auxBroadcast, "aux 16 (broadcast): every seed that takes the state gets the packet anyway"},
		{auxForce, "aux 32 (force): no packet is turned away for having been there before"},
	} {
		if aux&bit.bit != 0 {
			why = append(why, bit.text)
		}
	}
	return why
}

// unset tells whether a text of a classic packet stands for nothing.
func unset(s string) bool { return s == "" || strings.EqualFold(s, "None") }

// readClassic reads a packet in the classic shape.
func readClassic(v strict.Value) (File, error) {
	list, err := v.List()
	if err != nil {
		return File{}, err
	}
	if len(list) < 2 {
		return File{}, v.Errorf("a list of %d; a classic packet is [header, automaton, ..., last]", len(list))
	}
	f := File{Classic: true}
	if err := f.classicHeader(list[0]); err != nil {
		return File{}, err
	}
	if err := f.classicLast(list[len(list)-1]); err != nil {
		return File{}, err
	}
	return f, nil
}

// classicHeader reads the first element of a classic packet.
func (f *File) classicHeader(v strict.Value) error {
	o, err := v.Loose("ship", "container", "box", "fragment", "e", "state", "ttl", "t_state", "t_otype",
		"c_tag", "stop_func", "last_func", "last_contact", "last_timestamp", "aux", "code")
	if err != nil {
		return err
	}
	if code, ok := o.Get("code"); ok {
		return code.Errorf("the packet carries a program that its receiver is to run; until a sandbox can run it, code in a packet is refused: take the field out, and load the program as a seed file")
	}
	ship, err := o.MustText("ship")
	if err != nil {
		return err
	}
	container, err := o.Text("container")
	if err != nil {
		return err
	}
	f.Packet.Ship.Root = HashID("ship", ship)
	if container != "" {
		f.Packet.Extra = &Extra{Container: HashID("container", ship, container)}
	}
	if err := classicPhase(o); err != nil {
		return err
	}
	f.ignore("the header's field %q means nothing here", o.Unknown...)
	return f.classicWish(o)
}

// classicPhase refuses what is no packet of data.
func classicPhase(o strict.Object) error {
	phase, err := o.Text("state")
	if err != nil {
		return err
	}
	v, _ := o.Get("state")
	switch phase {
	case "PACK_OK", "ARP_OK":
		return v.Errorf("%s is an acknowledgement between old nodes, no packet of data", phase)
	case "MERGE":
		return v.Errorf("%s asks for a gather, and gathers are not run yet", phase)
	}
	return nil
}

// classicWish reads what a classic header asks for.
func (f *File) classicWish(o strict.Object) error {
	var wish Wish
	if v, ok := o.Get("stop_func"); ok {
		stop, err := v.Text()
		if err != nil {
			return err
		}
		if !unset(stop) {
			// Old nodes put the group in front.
			stop = stop[strings.LastIndexByte(stop, ':')+1:]
			if err := CheckName("seed's name", stop); err != nil {
				return v.Errorf("%v", err)
			}
			wish.Stop = stop
		}
	}
	if v, ok := o.Get("aux"); ok {
		aux, err := v.LooseInt(0, math.MaxInt32)
		if err != nil {
			return err
		}
		if aux&^auxAll != 0 {
			return v.Errorf("%d has bits that no Pumpkin knows; known are 1, 2, 4, 8, 16 and 32", aux)
		}
		wish.Track = aux&auxTrack != 0
		f.Ignored = append(f.Ignored, notHonoured(aux)...)
	}
	if v, ok := o.Get("fragment"); ok {
		n, err := v.LooseInt(0, math.MaxUint32)
		if err != nil {
			return err
		}
		if n > 0 {
			f.Ignored = append(f.Ignored, fmt.Sprintf("fragment %d: parts are not gathered yet, so the packet is one of its own", n))
		}
	}
	if wish != (Wish{}) {
		f.Packet.Wish = &wish
	}
	return nil
}

// classicLast reads the last element of a classic packet.
func (f *File) classicLast(v strict.Value) error {
	o, err := v.Loose("stag", "data", "func", "exstate", "format", "ep", "traces")
	if err != nil {
		return err
	}
	tag, err := o.MustText("stag")
	if err != nil {
		return err
	}
	if f.Group, f.Packet.State, err = ParseTag(tag); err != nil {
		stag, _ := o.Get("stag")
		return stag.Errorf("%v", err)
	}
	if f.Packet.Data, err = o.MustText("data"); err != nil {
		return err
	}
	to, err := o.Text("func")
	if err != nil {
		return err
	}
	if !unset(to) {
		f.ignore("func %q: a packet goes to every seed that takes its state", to)
	}
	f.ignore("the last element's field %q means nothing here", o.Unknown...)
	return nil
}

// maxIgnored bounds how many phrases [File].Ignored has.
const maxIgnored = 20

func (f *File) ignore(format string, what ...string) {
	for _, w := range what {
		if len(f.Ignored) < maxIgnored {
			f.Ignored = append(f.Ignored, fmt.Sprintf(format, w))
		}
	}
}
