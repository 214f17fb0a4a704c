package lossy

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A drive speaks to a file system by paths, and fails the test where
// something goes wrong.
type drive struct {
	t  *testing.T
	fs *FS
}

func (d drive) must(errno syscall.Errno, what string) {
	d.t.Helper()
	if errno != 0 {
		d.t.Fatalf("%s: %v", what, errno)
	}
}

func (d drive) at(name string) *Inode {
	d.t.Helper()
	n := d.fs.Root()
	for _, part := range strings.Split(strings.Trim(name, "/"), "/") {
		if part == "" {
			continue
		}
		below, errno := d.fs.Lookup(n, part)
		d.must(errno, name)
		n = below
	}
	return n
}

func (d drive) parent(name string) (*Inode, string) {
	return d.at(path.Dir("/" + name)), path.Base(name)
}

// do runs one operation of a line such as "write a hello".
func (d drive) do(op string) {
	d.t.Helper()
	f := strings.Fields(op)
	switch verb, name := f[0], f[1]; verb {
	case "make", "mkdir":
		dir, base := d.parent(name)
		_, errno := d.fs.Make(dir, base, verb == "mkdir", 0o644)
		d.must(errno, op)
	case "write": // at the end
		n := d.at(name)
		st, errno := d.fs.Stat(n)
		d.must(errno, op)
		d.must(d.fs.Write(n, []byte(f[2]), st.Size, len(f) > 3), op)
	case "fill": // three pages with one letter
		d.must(d.fs.Write(d.at(name), []byte(strings.Repeat(f[2], 3*pageSize)), 0, false), op)
	case "cut":
		d.must(d.fs.Truncate(d.at(name), 0), op)
	case "sync":
		d.must(d.fs.Sync(d.at(name)), op)
	case "remove", "rmdir":
		dir, base := d.parent(name)
		d.must(d.fs.Remove(dir, base, verb == "rmdir"), op)
	case "rename":
		from, base := d.parent(name)
		to, newBase := d.parent(f[2])
		d.must(d.fs.Rename(from, base, to, newBase, false), op)
	default:
		d.t.Fatalf("no operation %q", op)
	}
}

// show is the tree in one line: a=hello d/ d/b=. Bytes 0 show as _, and each
// run of a page or more as one letter a page.
func (d drive) show() string {
	var parts []string
	var walk func(n *Inode, at string)
	walk = func(n *Inode, at string) {
		names, errno := d.fs.Names(n)
		d.must(errno, at)
		for _, name := range names {
			full := path.Join(at, name.Name)
			st, errno := d.fs.Stat(name.Inode)
			d.must(errno, full)
			if st.Dir {
				parts = append(parts, full+"/")
				walk(name.Inode, full)
				continue
			}
			data := make([]byte, st.Size+10)
			count, errno := d.fs.Read(name.Inode, data, 0)
			d.must(errno, full)
			if int64(count) != st.Size {
				d.t.Errorf("%s: read %d bytes of %d", full, count, st.Size)
			}
			parts = append(parts, full+"="+pages(data[:count]))
		}
	}
	walk(d.fs.Root(), "")
	return cmp.Or(strings.Join(parts, " "), "nothing")
}

func pages(data []byte) string {
	text := strings.ReplaceAll(string(data), "\x00", "_")
	for _, letter := range []string{"_", "x", "y", "z"} {
		text = strings.ReplaceAll(text, strings.Repeat(letter, pageSize), letter)
	}
	return text
}

// TestPowerOff runs each sequence on many seeds: what survives is exactly what
// may survive, all of it.
func TestPowerOff(t *testing.T) {
	for _, c := range []struct {
		name, ops string
		rule      Rule
		want      []string
	}{
		{"nothing synced", "make a; write a hi", Journalled, []string{"nothing", "a=", "a=hi", "a=__"}},
		{"a new file that was synced has its name", "make a; write a hi; sync a", Journalled, []string{"a=hi"}},
		{"but not by POSIX", "make a; write a hi; sync a", Portable, []string{"a=hi", "nothing"}},
		{"file and folder", "make a; write a hi; sync a; sync /", Portable, []string{"a=hi"}},
		{"the folder alone", "make a; write a hi; sync /", Journalled, []string{"a=", "a=hi", "a=__"}},
		{"a write through O_SYNC", "make a; write a hi sync", Journalled, []string{"a=hi"}},
		{"an append after a sync", "make a; write a hi sync; write a ho", Journalled, []string{"a=hi", "a=hi__", "a=hiho"}},
		{"two appends", "make a; write a 1 sync; write a 2; write a 3", Journalled,
			[]string{"a=1", "a=1_", "a=12", "a=1__", "a=12_", "a=123"}},
		{"a synced file renamed over another", "make a; write a old sync; make b; write b new sync; sync /; rename b a", Journalled,
			[]string{"a=new", "a=old b=new"}},
		{"the folder synced after it", "make a; write a old sync; make b; write b new sync; rename b a; sync /", Journalled, []string{"a=new"}},
		{"renamed without a sync", "make a; write a old sync; make b; write b new; rename b a; sync /", Journalled,
			[]string{"a=", "a=new", "a=___"}},
		{"to another folder", "mkdir d; sync /; make a; sync a; sync /; rename a d/a", Journalled, []string{"a= d/", "d/ d/a="}},
		{"to another folder, by POSIX", "mkdir d; sync /; make a; sync a; sync /; rename a d/a", Portable,
			[]string{"a= d/", "d/ d/a=", "a= d/ d/a=", "d/"}},
		{"a removed file", "make a; write a hi sync; remove a", Journalled, []string{"nothing", "a=hi"}},
		{"a removed file, folder synced", "make a; write a hi sync; remove a; sync /", Journalled, []string{"nothing"}},
		{"names in order", "make a; make b; make c; remove a", Journalled,
			[]string{"nothing", "a=", "a= b=", "a= b= c=", "b= c="}},
		{"a sync commits what was before, not what comes after", "make a; make b; make c; sync b", Journalled, []string{"a= b=", "a= b= c="}},
		{"a folder's names need the folder's, by POSIX", "mkdir d; make d/a; sync d/a; sync d", Portable, []string{"nothing", "d/ d/a="}},
		{"a synced file in a new folder", "mkdir d; make d/a; write d/a hi sync", Journalled, []string{"d/ d/a=hi"}},
		{"torn at pages", "make a; fill a x; sync a; fill a y", Journalled,
			[]string{"a=xxx", "a=yxx", "a=xyx", "a=xxy", "a=yyx", "a=yxy", "a=xyy", "a=yyy"}},
		{"truncated and written again", "make a; write a old sync; cut a; write a new", Journalled,
			[]string{"a=old", "a=", "a=new", "a=___"}},
		{"truncated, written, synced", "make a; write a old sync; cut a; write a new sync", Journalled, []string{"a=new"}},
		{"a page written twice", "make a; write a 1; sync a; fill a x; fill a y; cut a; sync a", Journalled, []string{"a="}},
		{"an empty folder", "mkdir d; sync /; rmdir d", Journalled, []string{"d/", "nothing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := map[string]uint64{}
			for seed := range uint64(500) {
				disk := NewDisk(c.rule, seed)
				d := drive{t, disk.FS()}
				for _, op := range strings.Split(c.ops, ";") {
					d.do(strings.TrimSpace(op))
				}
				disk.PowerOff()
				if _, errno := d.fs.Names(d.fs.Root()); errno != syscall.EIO {
					t.Fatalf("without power, a folder gives %v; expected EIO", errno)
				}
				left := drive{t, disk.FS()}.show()
				seen[left] = seed
				disk.PowerOff() // nothing is left to lose
				if again := (drive{t, disk.FS()}).show(); again != left {
					t.Fatalf("seed %d: %q, and after a second loss of power %q", seed, left, again)
				}
			}
			slices.Sort(c.want)
			if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, c.want) {
				t.Errorf("%s\nleft %q (by a seed: %v)\nexpected %q", c.ops, got, seen, c.want)
			}
		})
	}
}

// TestOnceMore has a disk go off in the midst of much, again and again: what
// was synced last is always there.
func TestOnceMore(t *testing.T) {
	disk := NewDisk(Journalled, 7)
	synced := ""
	drive{t, disk.FS()}.do("make log")
	drive{t, disk.FS()}.do("sync log")
	for round := range 300 {
		d := drive{t, disk.FS()}
		if got := d.show(); !strings.HasPrefix(got, "log="+synced) {
			t.Fatalf("round %d: %q; expected it to begin with %q", round, got, synced)
		}
		d.do("cut log")
		d.do("sync log")
		synced = fmt.Sprintf("%d.", round)
		d.do("write log " + synced)
		d.do("sync log")
		d.do("write log more")
		disk.PowerOff()
	}
}
