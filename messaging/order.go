package messaging

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// TaskTimeoutError tells that a lifecycle call of a server gave up waiting: for the call that must come
// before it, or for its own work. It unwraps to the context's error.
type TaskTimeoutError struct {
	// Task is the call that gave up, Waiting what it waited for.
	Task, Waiting string
	Err           error
}

func (e *TaskTimeoutError) Error() string {
	return fmt.Sprintf("%s is waiting for %s: %v", e.Task, e.Waiting, e.Err)
}

func (e *TaskTimeoutError) Unwrap() error { return e.Err }

// task is one lifecycle step of an epoch: it runs once, whatever the number of callers.
type task struct {
	name    string
	mu      sync.Mutex
	state   taskState
	changed chan struct{} // closed and renewed at every change of state
}

type taskState int

const (
	initial taskState = iota
	running
	complete
)

func newTask(name string) *task { return &task{name: name, changed: make(chan struct{})} }

func (t *task) set(s taskState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = s
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *task) is(s taskState) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == s
}

// claim makes the caller the one that runs the task, or tells that it has run, or returns what to wait on.
func (t *task) claim() (mine, done bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.state {
	case complete:
		return false, true, nil
	case initial:
		t.state = running
		return true, false, nil
	case running:
	}
	return false, false, t.changed
}

// patience bounds the waits of one lifecycle call: once logAfter has passed it warns, once, that this may be
// a hang (oslo_messaging/server.py, _OrderedTask).
type patience struct {
	task     string
	logAfter time.Duration
	warn     func(task, waiting string)
	timer    *time.Timer
}

func newPatience(name string, logAfter time.Duration, warn func(task, waiting string)) *patience {
	p := &patience{task: name, warn: warn, logAfter: logAfter}
	if logAfter > 0 {
		p.timer = time.NewTimer(logAfter)
	}
	return p
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// wait waits for a change.
func (p *patience) wait(ctx context.Context, waiting string, changed <-chan struct{}) error {
	var warn <-chan time.Time
	if p.timer != nil {
		warn = p.timer.C
	}
	for {
		select {
		case <-changed:
			return nil
		case <-warn:
			warn = nil
			p.warn(p.task, waiting)
		case <-ctx.Done():
			return &TaskTimeoutError{Task: p.task, Waiting: waiting, Err: context.Cause(ctx)}
		}
	}
}

// await waits until t is complete.
func (p *patience) await(ctx context.Context, t *task) error {
	for {
		t.mu.Lock()
		state, changed := t.state, t.changed
		t.mu.Unlock()
		if state == complete {
			return nil
		}
		if err := p.wait(ctx, t.name+" to complete", changed); err != nil {
			return err
		}
	}
}

// run waits for the task that comes before t, if any, and then runs f, unless another caller of the epoch
// has or does: then it waits for that one and returns without its error. Where f fails and retry is true the
// task can run again; otherwise a failed task is a complete one.
func (t *task) run(ctx context.Context, p *patience, before *task, retry bool, f func() error) error {
	if before != nil {
		if err := p.await(ctx, before); err != nil {
			return err
		}
	}
	for {
		mine, done, changed := t.claim()
		switch {
		case done:
			return nil
		case mine:
			err := f()
			if err != nil && retry {
				t.set(initial)
			} else {
				t.set(complete)
			}
			return err
		}
		if err := p.wait(ctx, "another "+t.name+" to complete", changed); err != nil {
			return err
		}
	}
}
