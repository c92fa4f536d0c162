package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What programs tell.
const (
	eventVersion   = "version"
	eventListening = "listening"
	eventStarted   = "started"
	eventStopping  = "stopping"
	eventSlow      = "slow"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// settings are what a scene asks of the program that it measures.
type settings struct {
	http    bool
	rolling bool          // where the program can
	job     time.Duration // of each worker, from its start on
	timeout time.Duration // for a graceful stop, in whole seconds; 0 is the default
}

// contender is one of the two that are compared.
type contender struct {
	name    string
	command func(s settings, events string) *exec.Cmd
}

func newContenders(python, script, self string) []contender {
	seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
	return []contender{
		{"oslo.service", func(s settings, events string) *exec.Cmd {
			cmd := exec.Command(python, append([]string{script}, s.arguments(seconds, events)...)...)
			cmd.Env = append(os.Environ(), "SHORT="+seconds(shortRequest), "SLOW="+seconds(slowRequest))
			return cmd
		}},
		{"goslo", func(s settings, events string) *exec.Cmd {
			args := []string{serveCommand}
			if s.rolling {
				args = append(args, "--rolling")
			}
			return exec.Command(self, append(args, s.arguments(time.Duration.String, events)...)...)
		}},
	}
}

func (s settings) arguments(duration func(time.Duration) string, events string) []string {
	var args []string
	if s.http {
		args = append(args, "--http")
	}
	if s.job > 0 {
		args = append(args, "--job", duration(s.job))
	}
	if s.timeout > 0 {
		args = append(args, "--timeout", duration(s.timeout))
	}
	return append(args, events)
}

// event is a line of a program, and when it came.
type event struct {
	word, what string
	at         time.Time
}

func (e event) pid() int {
	pid, _ := strconv.Atoi(e.what) // 0 is no process
	return pid
}

// program is one that runs: a parent and its workers, in a process group of their own.
type program struct {
	cmd       *exec.Cmd
	pipe      *os.File
	log       *os.File
	reading   sync.WaitGroup
	startedAt time.Time
	ended     chan struct{}
	endedAt   time.Time // once ended is closed

	mu     sync.Mutex
	events []event
	more   chan struct{} // closed and made anew with each event
}

// start starts a program and waits until all its workers have started.
func (c contender) start(ctx context.Context, dir string, s settings) (p *program, err error) {
	p = &program{ended: make(chan struct{}), more: make(chan struct{})}
	name := filepath.Join(dir, "events")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		return nil, fmt.Errorf("make the pipe %s: %w", name, err)
	}
	if p.pipe, err = os.OpenFile(name, os.O_RDWR, 0); err != nil { // also for writing, so that it has no end
		return nil, err
	}
	if p.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, errors.Join(err, p.pipe.Close())
	}
	p.cmd = c.command(s, name)
	p.cmd.Stderr = p.log // a file, which nobody need read
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.startedAt = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, p.pipe.Close(), p.log.Close())
	}
	p.reading.Go(p.read)
	p.reading.Go(func() {
		_ = p.cmd.Wait() // the status is in ProcessState
		p.endedAt = time.Now()
		close(p.ended)
	})
	if _, err := p.await(ctx, eventStarted, workers); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *program) read() {
	in := bufio.NewScanner(p.pipe)
	for in.Scan() {
		word, what, _ := strings.Cut(in.Text(), " ")
		p.mu.Lock()
		p.events = append(p.events, event{word, what, time.Now()})
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// told returns all events of a word until now, and what is closed with the next event.
func (p *program) told(word string) ([]event, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []event
	for _, e := range p.events {
		if e.word == word {
			found = append(found, e)
		}
	}
	return found, p.more
}

// await waits until there are so many events of a word.
func (p *program) await(ctx context.Context, word string, count int) ([]event, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		found, more := p.told(word)
		if len(found) >= count {
			return found, nil
		}
		select {
		case <-more:
		case <-p.ended:
			return nil, fmt.Errorf("the program has ended (%s) before %q was told %d times%s", p.cmd.ProcessState, word, count, p.lastLog())
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %q to be told %d times: %w%s", word, count, context.Cause(ctx), p.lastLog())
		}
	}
}

// lastLog is the end of what the program has logged.
func (p *program) lastLog() string {
	text, _ := os.ReadFile(p.log.Name())
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return "; its log ends with:\n" + string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
}

func (p *program) parent() int { return p.cmd.Process.Pid }

// signal is sent to the parent, which has not ended.
func (p *program) signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// awaitEnd waits until the parent has ended and returns its status; -n is that of a death by signal n.
func (p *program) awaitEnd(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the parent to end: %w%s", context.Cause(ctx), p.lastLog())
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return -int(status.Signal()), nil
	}
	return p.cmd.ProcessState.ExitCode(), nil
}

// living are the workers that run.
func (p *program) living() []int {
	var pids []int
	started, _ := p.told(eventStarted)
	for _, e := range started {
		if runs(e.pid()) && !slices.Contains(pids, e.pid()) {
			pids = append(pids, e.pid())
		}
	}
	return pids
}

// runs tells whether there is such a process; one that has ended and was not waited for is none.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return len(state) > 0 && state[0] != 'Z'
}

// close kills what is left of the program and waits for its parent.
func (p *program) close() error {
	_ = syscall.Kill(-p.parent(), syscall.SIGKILL) // there may be nothing left
	<-p.ended
	err := p.pipe.Close()
	p.reading.Wait()
	return errors.Join(err, p.log.Close(), os.Remove(p.pipe.Name()))
}
