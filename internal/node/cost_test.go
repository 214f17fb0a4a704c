package node

import (
	"testing"
	"time"
)

// TestCheapStaysCheap: an estimate that wanders about the border does not send
// packets one way and then the other.
func TestCheapStaysCheap(t *testing.T) {
	var c cost
	settle := func(d time.Duration) {
		for range 100 {
			c.add(d, 1, 100)
		}
	}
	if c.cheap() {
		t.Error("a seed of which nothing is known is cheap")
	}
	settle(3 * time.Microsecond)
	if c.cheap() {
		t.Errorf("a seed that was never below %v is cheap at %v", inlineCost, c.get())
	}
	settle(time.Microsecond)
	if !c.cheap() {
		t.Errorf("a seed of %v is not cheap", c.get())
	}
	settle(5 * time.Microsecond)
	if !c.cheap() {
		t.Errorf("a cheap seed is not at %v; expected that it is up to %v", c.get(), inlineLimit)
	}
	settle(20 * time.Microsecond)
	if c.cheap() {
		t.Errorf("a seed of %v is cheap", c.get())
	}
	settle(3 * time.Microsecond)
	if c.cheap() {
		t.Errorf("a seed that was dear is cheap again at %v", c.get())
	}
}
