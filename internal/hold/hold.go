//go:build unix

// Package hold takes folders for one process alone where locks are not enough: on a network
// file system, and through FUSE, each machine may have its own locks.
package hold

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// fileName says in a folder which process has it. The file is made where there is none, which
// only one can do on any file system, is touched while the folder is in use, and goes when it
// is given back.
const fileName = ".holder"

// A Holder is a process that has a folder, as it says there.
type Holder struct {
	PID int `json:"pid"`
	// Space is where the process has this number: in each container are others.
	Space   string `json:"pid_space,omitempty"`
	Host    string `json:"host,omitempty"`
	Machine string `json:"machine,omitempty"`
	Boot    string `json:"boot,omitempty"`
	Claim   string `json:"claim"` // drawn each time
}

const (
	// beatEvery is how often the file is touched.
	beatEvery = time.Second
	// nearSilence and farSilence are how long it must not have been touched for its process
	// to count as dead: one of this machine, and one of another, whose network may falter.
	nearSilence = 3 * time.Second
	farSilence  = 10 * time.Second
)

// A UsedError is a folder that another process has.
type UsedError struct {
	Dir  string
	PID  int    // of that process; 0 if it is not known
	Host string // that it runs on; "" is this one, or one that is not known
}

func (e *UsedError) Error() string { return fmt.Sprintf("%s is in use by %s", e.Dir, e.Who()) }

// Who names the process.
func (e *UsedError) Who() string {
	who := "another process"
	if e.PID > 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	if e.Host != "" {
		who += " of the machine " + e.Host
	}
	return who
}

// Machine names this machine, without telling what the system calls it; "" is that it cannot
// be told from others.
func Machine() string {
	id := thisMachine()
	if id == "" {
		return ""
	}
	sum := hmac.New(sha256.New, []byte(id))
	sum.Write([]byte("pumpkin folder"))
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// Boot names the run of this machine since it was booted, likewise; "" is that it cannot be
// told.
func Boot() string { return thisBoot() }

// me is this process as a holder.
func me() Holder {
	host, _ := os.Hostname() // only for people
	return Holder{PID: os.Getpid(), Space: pidSpace(), Host: host, Machine: Machine(), Boot: thisBoot(), Claim: rand.Text()}
}

// here tells whether the process is, or was, one of this machine.
func (h Holder) here(self Holder) bool {
	return h.Boot != "" && h.Boot == self.Boot || h.Machine != "" && h.Machine == self.Machine
}

// dead tells whether the process has surely ended. Its number may be this one's: what has the
// folder of a container is always process 1 there.
func (h Holder) dead(self Holder) bool {
	return h.Boot != "" && h.Boot == self.Boot && h.Space != "" && h.Space == self.Space && (h.PID == self.PID || h.PID > 0 && errors.Is(unix.Kill(h.PID, 0), unix.ESRCH))
}

// A Claim is a folder that this process has.
type Claim struct {
	path  string
	mine  []byte // what the file says; nil where the disk had no room for it
	lost  chan struct{}
	stop  context.CancelFunc
	ended chan struct{}
}

// tries is how often a folder is taken that others take at the same time.
const tries = 10

// Take takes the folder, which is there, for this process. What a process has left there that
// was killed on this machine is no obstacle; other such it watches for some seconds, since
// they may live elsewhere, and report, unless nil, is told so. A folder that another uses is a
// [*UsedError].
func Take(ctx context.Context, dir string, report func(string)) (*Claim, error) {
	return take(ctx, dir, me(), report)
}

func take(ctx context.Context, dir string, self Holder, report func(string)) (*Claim, error) {
	text, err := json.Marshal(self)
	if err != nil {
		return nil, err
	}
	c := &Claim{path: filepath.Join(dir, fileName), lost: make(chan struct{}), ended: make(chan struct{})}
	for range tries {
		if err = c.create(c.path, text); errors.Is(err, fs.ErrExist) {
			var left []byte
			if left, err = watch(ctx, c.path, self, report); err == nil {
				err = c.takeOver(ctx, left, text, self)
			}
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			break // else somebody else was as fast
		}
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		// A full disk is no reason not to start: the lock alone has to do.
		c.path, err = "", nil
	}
	if err != nil {
		return nil, err
	}
	beating, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.beat(beating)
	return c, nil
}

// create makes a file of this process, which only one can.
func (c *Claim) create(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		c.mine = text
	}
	return nil // on a full disk it stays empty, and is touched all the same
}

// takeOver takes the place of a dead process. Of several who want to, one makes the file
// that is named for what that has left; the others see what has become of it, which is an
// fs.ErrExist or an fs.ErrNotExist.
func (c *Claim) takeOver(ctx context.Context, left, text []byte, self Holder) error {
	sum := sha256.Sum256(left)
	mine := c.path + "-after-" + hex.EncodeToString(sum[:8])
	if err := c.create(mine, text); errors.Is(err, fs.ErrExist) {
		// It may have been killed just there.
		if _, err := watch(ctx, mine, self, nil); err != nil {
			return err
		}
		return errors.Join(os.Remove(mine), fs.ErrExist)
	} else if err != nil {
		return err
	}
	now, _, err := look(c.path)
	if err == nil && !bytes.Equal(now, left) {
		err = fs.ErrExist
	}
	if err != nil {
		return errors.Join(err, os.Remove(mine))
	}
	return os.Rename(mine, c.path)
}

// watch returns what a file of a process says when it was not touched for so long that its process
// is dead; one that is alive is an [*UsedError].
func watch(ctx context.Context, path string, self Holder, report func(string)) ([]byte, error) {
	dir := filepath.Dir(path)
	left, touched, err := look(path)
	if err != nil {
		return nil, err
	}
	var h Holder
	_ = json.Unmarshal(left, &h) // what cannot be read is somebody's
	if h.dead(self) {
		return left, nil
	}
	silence := farSilence
	if h.here(self) {
		silence = nearSilence
	}
	if report != nil {
		report(fmt.Sprintf("the folder %s was not given back by %s: waiting %v to see whether that still uses it", dir, h.who(), silence))
	}
	over := time.NewTimer(silence)
	defer over.Stop()
	again := time.NewTicker(beatEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
		case <-over.C:
			return left, nil
		}
		now, at, err := look(path)
		switch {
		case err != nil:
			return nil, err
		case !bytes.Equal(now, left) || !at.Equal(touched):
			used := &UsedError{Dir: dir, PID: h.PID}
			if !h.here(self) {
				used.Host = h.Host
			}
			return nil, used
		}
	}
}

// who names the process for people.
func (h Holder) who() string {
	return (&UsedError{PID: h.PID, Host: h.Host}).Who()
}

// look is what the file says and when it was touched. It is opened anew each time: only
// then does a network file system ask the server.
func look(path string) ([]byte, time.Time, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close() // only read
	text := make([]byte, 4096)
	n, _ := f.ReadAt(text, 0) // at most io.EOF, mostly
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	return text[:n], info.ModTime(), nil
}

// taken tells whether the file is another's now. What cannot be read tells nothing.
func (c *Claim) taken() bool {
	now, _, err := look(c.path)
	return c.mine != nil && err == nil && !bytes.Equal(now, c.mine)
}

// beat touches the file until ctx ends or it is another's.
func (c *Claim) beat(ctx context.Context) {
	defer close(c.ended)
	if c.path == "" {
		return
	}
	again := time.NewTicker(beatEvery)
	defer again.Stop()
	missing := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		now := time.Now()
		err := os.Chtimes(c.path, now, now)
		if errors.Is(err, fs.ErrNotExist) {
			missing++ // for a moment it is where another takes it away
		} else {
			missing = 0
		}
		if c.taken() || missing > 1 {
			close(c.lost)
			return
		}
	}
}

// Lost is closed when another process has taken the folder over, since this one was silent
// for long.
func (c *Claim) Lost() <-chan struct{} { return c.lost }

// Release gives the folder back, unless it is another's now. It may be called again.
func (c *Claim) Release() error {
	c.stop()
	<-c.ended
	select {
	case <-c.lost:
		return nil // it is another's
	default:
	}
	if c.path == "" || c.taken() {
		return nil
	}
	if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
