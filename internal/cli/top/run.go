package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/seed"
)

const (
	// every is how often the network is looked at.
	every = time.Second
	// askTime is the longest that an answer may take.
	askTime = 5 * time.Second
	// sizeEvery is how often the terminal's size is looked at, and keyTime how
	// long a wait for a key lasts at most: what ends with Run is so long late.
	sizeEvery = 250 * time.Millisecond
	keyTime   = 100 * time.Millisecond
)

// Ask reads the network once.
type Ask func(context.Context) (api.Network, error)

// Switch has a seed take no more packets on any node, or take them again.
type Switch func(ctx context.Context, name seed.Name, pause bool) error

// Once compares two readings of the network, a second apart.
func Once(ctx context.Context, ask Ask) (Sample, error) {
	first, err := ask(ctx)
	if err != nil {
		return Sample{}, err
	}
	before := Compare(nil, time.Now(), first)
	select {
	case <-time.After(every):
	case <-ctx.Done():
		return Sample{}, ctx.Err()
	}
	second, err := ask(ctx)
	if err != nil {
		return Sample{}, err
	}
	return Compare(&before, time.Now(), second), nil
}

// Run shows the network on a terminal until somebody quits, or ctx ends. The
// terminal is then as it was before.
func Run(ctx context.Context, in, out *os.File, color bool, ask Ask, turn Switch) (err error) {
	raw, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("take over the terminal: %w", err)
	}
	// The other screen, without a cursor; at the end this one, as it was.
	_, err = io.WriteString(out, "\x1b[?1049h\x1b[?25l")
	defer func() {
		_, back := io.WriteString(out, "\x1b[?25h\x1b[?1049l")
		err = errors.Join(err, back, term.Restore(int(in.Fd()), raw))
	}()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	keys, readings, now := make(chan Key), make(chan reading), make(chan struct{}, 1)
	helpers.Go(func() { readKeys(ctx, int(in.Fd()), keys) })
	helpers.Go(func() { poll(ctx, ask, now, readings) })
	return show(ctx, out, color, turn, now, keys, readings)
}

// A reading is the network at one time, or why it is not known.
type reading struct {
	at  time.Time
	net api.Network
	err error
}

// poll reads the network until ctx ends, also when it is told to.
func poll(ctx context.Context, ask Ask, now <-chan struct{}, readings chan<- reading) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, askTime)
		net, err := ask(within)
		cancel()
		select {
		case readings <- reading{time.Now(), net, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-now:
		case <-ctx.Done():
			return
		}
	}
}

// readKeys gives the keys that are pressed, until ctx ends or the terminal is gone,
// which is the same as quitting.
func readKeys(ctx context.Context, fd int, keys chan<- Key) {
	give := func(k Key) {
		select {
		case keys <- k:
		case <-ctx.Done():
		}
	}
	buf := make([]byte, 64)
	for ctx.Err() == nil {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor
		n, err := unix.Poll(ready, int(keyTime.Milliseconds()))
		if errors.Is(err, unix.EINTR) || err == nil && n == 0 {
			continue
		}
		if err == nil {
			n, err = unix.Read(fd, buf)
		}
		if err != nil || n == 0 {
			give(Quit)
			give(Quit) // also out of the view of one seed
			return
		}
		for _, k := range Keys(buf[:n]) {
			give(k)
		}
	}
}

// show draws what there is whenever some of it has changed.
func show(ctx context.Context, out *os.File, color bool, turn Switch, now chan<- struct{}, keys <-chan Key, readings <-chan reading) error {
	sizes := time.NewTicker(sizeEvery)
	defer sizes.Stop()
	var v View
	var drawn []string
	var size [2]int
	for {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil {
			return fmt.Errorf("the terminal's size: %w", err)
		}
		lines := Draw(v, Screen{Width: width, Height: height, Color: color, Keys: true})
		if is := [2]int{width, height}; is != size || !slices.Equal(lines, drawn) {
			if err := paint(out, lines, is != size); err != nil {
				return err
			}
			drawn, size = lines, is
		}
		select {
		case k := <-keys:
			v = v.Press(k)
			if k == Pause {
				v.Said = v.turn(ctx, turn)
				select {
				case now <- struct{}{}: // soon it is seen
				default:
				}
			}
		case l := <-readings:
			v = v.after(l)
		case <-sizes.C:
		case <-ctx.Done():
			return nil
		}
		if v.Quit {
			return nil
		}
	}
}

// turn pauses the seed that is pointed at, or resumes it if it is paused anywhere,
// and says what came of it.
func (v View) turn(ctx context.Context, turn Switch) string {
	r := v.pointedAt()
	if r == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	pause := r.Paused == 0
	switch err := turn(ctx, r.Seed, pause); {
	case err != nil:
		return err.Error()
	case pause:
		return fmt.Sprintf("seed %s is paused; p lets it run again", r.Seed)
	}
	return fmt.Sprintf("seed %s runs again", r.Seed)
}

// after is the view after a reading.
func (v View) after(l reading) View {
	v.Trouble = ""
	if l.err != nil {
		v.Trouble = l.err.Error()
		return v
	}
	var before *Sample
	if len(v.Sample.Network.Nodes) > 0 {
		before = &v.Sample
	}
	v.Sample = Compare(before, l.at, l.net)
	return v
}

// paint writes lines over what is on the screen, all at once, so that it does not
// flicker.
func paint(out io.Writer, lines []string, anew bool) error {
	var b strings.Builder
	if anew {
		b.WriteString("\x1b[2J")
	}
	for i, line := range lines {
		fmt.Fprintf(&b, "\x1b[%d;1H%s\x1b[K", i+1, line)
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(out, b.String())
	return err
}
