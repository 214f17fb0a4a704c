package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/recap/pumpkin/internal/pause"
)

// A scaleProcess is a node that is measured from outside.
type scaleProcess struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	errs   bytes.Buffer
	began  time.Time
	read   chan struct{} // closed when the node has said its last

	mu    sync.Mutex
	last  scaleReport
	first time.Duration // from its start to its first result; 0 before
}

// startScale starts a node as a process of its own. It ends with end, or with
// ctx.
func startScale(ctx context.Context, cmd *exec.Cmd, task ScaleNode) (*scaleProcess, error) {
	text, err := json.Marshal(task)
	if err != nil {
		return nil, err
	}
	p := &scaleProcess{cmd: cmd, read: make(chan struct{})}
	p.cmd.Stderr = &p.errs
	if p.orders, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.listen(out)
	if _, err := p.orders.Write(append(text, '\n')); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

func (p *scaleProcess) listen(out io.Reader) {
	defer close(p.read)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var r scaleReport
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // its end tells what was wrong
		}
		p.mu.Lock()
		if p.first == 0 && r.Got > 0 {
			p.first = time.Since(p.began)
		}
		p.last = r
		p.mu.Unlock()
	}
}

func (p *scaleProcess) report() scaleReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// await waits until the node's reports fulfil is.
func (p *scaleProcess) await(ctx context.Context, most time.Duration, is func(scaleReport) bool) error {
	for limit := time.Now().Add(most); !is(p.report()); {
		select {
		case <-p.read:
			return errors.New("the node ended")
		default:
		}
		if time.Now().After(limit) {
			return fmt.Errorf("after %v the node had sent %d packets and taken %d", most, p.report().Sent, p.report().Got)
		}
		if !pause.For(ctx, reportEvery/4) {
			return ctx.Err()
		}
	}
	return nil
}

// rates are packets/s into the chains and out of them over span, or a longer one
// until something has come out: on a busy machine a short one sees nothing.
func (p *scaleProcess) rates(ctx context.Context, span time.Duration) (in, out float64, err error) {
	began, before := time.Now(), p.report()
	if !pause.For(ctx, span) {
		return 0, 0, ctx.Err()
	}
	if err := p.await(ctx, time.Minute, func(r scaleReport) bool { return r.Got > before.Got }); err != nil {
		return 0, 0, err
	}
	now, seconds := p.report(), time.Since(began).Seconds()
	return float64(now.Sent-before.Sent) / seconds, float64(now.Got-before.Got) / seconds, nil
}

// peak is the most memory the node has had resident, in MiB; 0 where /proc does
// not tell.
func (p *scaleProcess) peak() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}

// endWait is how long a node may take to end.
const endWait = 60 * time.Second

// end ends the node and waits for it. What it had taken from its inboxes it
// finishes; the rest stays in its store.
func (p *scaleProcess) end() error {
	closed := p.orders.Close()
	late := time.AfterFunc(endWait, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	<-p.read
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the node that is measured: %w: %s", err, strings.TrimSpace(p.errs.String()))
	}
	if wrong := p.report().Wrong; wrong > 0 {
		return fmt.Errorf("%d results were wrong", wrong)
	}
	return closed
}
