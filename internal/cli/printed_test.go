package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recap/pumpkin/packet"
	"github.com/recap/pumpkin/seed"
)

// TestAFloodInTheLog has a bound for each seed and second, and a count of what was left out.
func TestAFloodInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log, results bytes.Buffer
		p := newPrinted(&results, newLog(&log, false))
		transformer := func(name seed.Name) seed.Manifest {
			return seed.Manifest{Name: name, Contract: seed.Contract{In: []packet.State{"A:B"}, Out: []packet.State{"A:C"}}}
		}
		extractor := seed.Manifest{Name: "show", Contract: seed.Contract{In: []packet.State{"A:B"}}}
		const wide = 40 << 10
		for second := range 2 {
			for i := range 500 {
				p.line(transformer("loud"), fmt.Sprint(second, i))
				p.line(extractor, fmt.Sprint(i))
			}
			p.line(transformer("calm"), "hello")
			for range 3 {
				p.line(transformer("wide"), strings.Repeat("x", wide))
			}
			if second == 0 {
				time.Sleep(2 * time.Second)
			}
		}
		p.close()
		p.close()
		for text, want := range map[string]int{
			"INFO  loud: ": 200, "INFO  calm: hello": 2, "INFO  wide: x": 2,
			"WARN  loud: dropped 400 more lines in this second (limit: 100 lines or 64 KiB per seed and second)": 2, "WARN  wide: dropped 2 more lines in this second": 2, "calm: 1": 0,
		} {
			if got := strings.Count(log.String(), text); got != want {
				t.Errorf("the log has %q %d times, want %d", text, got, want)
			}
		}
		if got := strings.Count(results.String(), "\n"); got != 1000 {
			t.Errorf("%d of 1000 results of an extractor", got)
		}
	})
}

// TestAResultThatCannotBeWritten is an error: the run has not done what it was for.
func TestAResultThatCannotBeWritten(t *testing.T) {
	full := errors.New("no space left on device")
	p := newPrinted(failing{full}, newLog(&bytes.Buffer{}, false))
	if err := p.line(seed.Manifest{Contract: seed.Contract{In: []packet.State{"A:B"}}}, "x"); !errors.Is(err, full) {
		t.Errorf("it is taken, with %v", err)
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }
