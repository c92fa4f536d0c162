package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/sirupsen/logrus"
)

// Sizes of thread groups (oslo.service: threadgroup.py and service.py).
const (
	// DefaultThreads is the size of a group of its own.
	DefaultThreads = 10
	// DefaultServiceThreads is that of the group of a service.
	DefaultServiceThreads = 1000
)

// Timer is a looping call; package service/loopcall makes them.
type Timer interface {
	Start(ctx context.Context) error
	Stop()                                 // tells the timer to end and does not wait; harmless twice
	Wait(ctx context.Context) (any, error) // returns when it has ended
}

// ThreadGroup runs a bounded number of tasks, and timers beside them. Errors and panics of tasks are logged and go no
// further. It can be used again after a stop. It is safe for concurrent use.
//
// Each task has a context that says which task it is: Stop, Drain and Wait called with it leave that task out, so that a
// task can stop the group that it runs in.
type ThreadGroup struct {
	log    logrus.FieldLogger
	places chan struct{} // one taken by each task

	mu     sync.Mutex
	tasks  map[*Task]struct{}
	timers map[Timer]*running
}

// running is a timer under way.
type running struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

// Task is one function that a [ThreadGroup] runs.
type Task struct {
	group  *ThreadGroup
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	over   bool
	onDone []func()
}

// taskKey finds the task in its context.
type taskKey struct{}

// NewThreadGroup makes a group that runs size tasks at once; 0 means [DefaultThreads]. A nil log is
// logrus.StandardLogger(). It panics if size is negative.
func NewThreadGroup(size int, log logrus.FieldLogger) *ThreadGroup {
	if size < 0 {
		panic(fmt.Sprintf("service: the size of a thread group must not be negative, got %d", size))
	}
	if size == 0 {
		size = DefaultThreads
	}
	if log == nil {
		log = logrus.StandardLogger()
	}
	return &ThreadGroup{
		log: log, places: make(chan struct{}, size),
		tasks: make(map[*Task]struct{}), timers: make(map[Timer]*running),
	}
}

// Go runs f in a goroutine. While the group is full it blocks, at most until ctx ends, and then fails with its cause. The
// context of f ends with Stop, and not with ctx.
func (g *ThreadGroup) Go(ctx context.Context, f func(context.Context) error) (*Task, error) {
	select {
	case g.places <- struct{}{}:
		return g.run(f), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a place in the thread group: %w", context.Cause(ctx))
	}
}

// TryGo is Go, but fails with [ErrFull] rather than to wait.
func (g *ThreadGroup) TryGo(f func(context.Context) error) (*Task, error) {
	select {
	case g.places <- struct{}{}:
		return g.run(f), nil
	default:
		return nil, ErrFull
	}
}

func (g *ThreadGroup) run(f func(context.Context) error) *Task {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Task{group: g, cancel: cancel, ended: make(chan struct{})}
	g.mu.Lock()
	g.tasks[t] = struct{}{}
	g.mu.Unlock()
	go func() {
		defer g.leave(t)
		if err := guard(context.WithValue(ctx, taskKey{}, t), f); err != nil && !errors.Is(err, context.Canceled) {
			logFailure(g.log, err, "a task of a thread group failed")
		}
	}()
	return t
}

func (g *ThreadGroup) leave(t *Task) {
	t.cancel()
	t.finish()
	g.mu.Lock()
	delete(g.tasks, t)
	g.mu.Unlock()
	<-g.places
	close(t.ended)
}

func (t *Task) finish() {
	t.mu.Lock()
	t.over = true
	onDone := t.onDone
	t.mu.Unlock()
	for _, f := range onDone {
		t.tell(f)
	}
}

// tell keeps a panic of f from the process, as the group does with those of tasks.
func (t *Task) tell(f func()) {
	err := guard(context.Background(), func(context.Context) error { f(); return nil })
	if err != nil {
		logFailure(t.group.log, err, "a function failed that was to hear of the end of a task")
	}
}

// OnDone runs f when the task has ended, in the task's goroutine; at once, in the caller's, if it has already. A panic of f is
// logged and goes no further.
func (t *Task) OnDone(f func()) {
	t.mu.Lock()
	over := t.over
	if !over {
		t.onDone = append(t.onDone, f)
	}
	t.mu.Unlock()
	if over {
		t.tell(f)
	}
}

// Cancel ends the task's context and does not wait.
func (t *Task) Cancel() { t.cancel() }

// Wait returns when the task has ended, or fails with the context's cause.
func (t *Task) Wait(ctx context.Context) error { return await(ctx, t.ended) }

// AddTimer starts a timer, which is stopped with the group. It takes no place. It fails as the timer's Start does.
func (g *ThreadGroup) AddTimer(t Timer) error {
	ctx, cancel := context.WithCancel(context.Background())
	if err := t.Start(ctx); err != nil {
		cancel()
		return err
	}
	r := &running{cancel: cancel, ended: make(chan struct{})}
	g.mu.Lock()
	g.timers[t] = r
	g.mu.Unlock()
	go func() {
		defer close(r.ended)
		defer cancel()
		_, _ = t.Wait(context.Background()) // a timer logs itself why it ended
		g.forget(t, r)
	}()
	return nil
}

// forget takes out a timer that has ended, unless it was added again since.
func (g *ThreadGroup) forget(t Timer, r *running) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timers[t] == r {
		delete(g.timers, t)
	}
}

// Stop ends the contexts of all tasks and timers and does not wait for them (oslo: stop(graceful=False)). Called by a task
// with its context it leaves that one out.
func (g *ThreadGroup) Stop(ctx context.Context) {
	tasks, timers := g.members(ctx)
	for t, r := range timers {
		t.Stop()
		r.cancel()
	}
	for _, t := range tasks {
		t.cancel()
	}
}

// Drain stops the timers, then waits for their calls under way and for the tasks, which it lets run to their end (oslo:
// stop(graceful=True)). It fails with ctx's cause if ctx ends first. A timer's function must not call it: it would wait for
// itself.
func (g *ThreadGroup) Drain(ctx context.Context) error {
	_, timers := g.members(ctx)
	for t := range timers {
		t.Stop()
	}
	return g.Wait(ctx)
}

// Wait waits for the timers and then for the tasks: for ever, while a timer is not stopped. It fails with ctx's cause if ctx
// ends first.
func (g *ThreadGroup) Wait(ctx context.Context) error {
	_, timers := g.members(ctx)
	for _, r := range timers {
		if err := await(ctx, r.ended); err != nil {
			return err
		}
	}
	tasks, _ := g.members(ctx)
	for _, t := range tasks {
		if err := t.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// members are the tasks, but that to which ctx belongs, and the timers.
func (g *ThreadGroup) members(ctx context.Context) ([]*Task, map[Timer]*running) {
	self, _ := ctx.Value(taskKey{}).(*Task)
	g.mu.Lock()
	defer g.mu.Unlock()
	tasks := make([]*Task, 0, len(g.tasks))
	for t := range g.tasks {
		if t != self {
			tasks = append(tasks, t)
		}
	}
	return tasks, maps.Clone(g.timers)
}

// await waits until ended is closed.
func await(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-ended:
		return nil
	default:
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
