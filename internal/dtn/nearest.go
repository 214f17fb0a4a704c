package dtn

import "strings"

// nearest is the one of among that name was perhaps meant to be, the first of
// equals; "" when none is near. Case counts for nothing. It gives up on a
// candidate as soon as that is too far, since the checks of a network compare
// many names.
func nearest[T ~string](name T, among []T) T {
	var best T
	low := strings.ToLower(string(name))
	bare := low[strings.IndexByte(low, ':')+1:]
	limit := 1 + len(bare)/4
	for _, other := range among {
		if other == name {
			continue
		}
		if d := distance(low, strings.ToLower(string(other)), limit); d <= limit {
			best, limit = other, d-1
		}
		if limit < 0 {
			break
		}
	}
	return best
}

// distance counts the letters to be added, removed, changed or swapped with
// their neighbour to turn a into b; it is more than limit, and not counted
// on, when they are more than limit.
func distance(a, b string, limit int) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > limit {
		return limit + 1
	}
	for len(a) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	// Three rows of the usual table: the one before last is for swaps.
	var space [3 * 64]int
	width := len(a) + 1
	rows := space[:]
	if 3*width > len(rows) {
		rows = make([]int, 3*width)
	}
	before, last, row := rows[:width], rows[width:2*width], rows[2*width:3*width]
	for i := range last {
		last[i] = i
	}
	for j := range len(b) {
		row[0] = j + 1
		low := row[0]
		for i := range len(a) {
			change := last[i]
			if a[i] != b[j] {
				change++
			}
			row[i+1] = min(change, last[i+1]+1, row[i]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[i+1] = min(row[i+1], before[i-1]+1)
			}
			low = min(low, row[i+1])
		}
		if low > limit {
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return last[width-1]
}
