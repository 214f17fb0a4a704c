package trace

// Shorten leaves at most most bytes of the data that the run has kept.
func (r *Run) Shorten(most int) {
	parts := make([]*Data, 0, 1+len(r.Out))
	if r.Data != nil {
		parts = append(parts, r.Data)
	}
	for i := range r.Out {
		parts = append(parts, &r.Out[i])
	}
	for _, d := range parts {
		if head := d.Head(); len(head) > most {
			d.keep(HeadOf(head, most).Head())
		}
		most -= d.kept()
	}
}
