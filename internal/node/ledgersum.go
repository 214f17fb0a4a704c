package node

// Ended counts the stays that are over: what neither goes on, nor waits, nor is kept.
func (l Ledger) Ended() int {
	ended := l.Begun - l.Live
	for _, count := range l.Waiting {
		ended -= count
	}
	for _, count := range l.Kept {
		ended -= count
	}
	return ended
}
