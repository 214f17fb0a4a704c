//go:build !darwin && !freebsd && !netbsd

package inject

import "syscall"

// statusTime is when the file's data, names or rights changed last, Unix time in ns.
func statusTime(st *syscall.Stat_t) int64 { return st.Ctim.Nano() }
