package periodic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// DefaultInterval is the spacing of a task that names none, and the longest a run says to be idle.
const DefaultInterval = 60 * time.Second

// ErrDuplicate tells that a task of that name exists.
var ErrDuplicate = errors.New("periodic: a task of that name exists")

// ErrNoFunction tells that a task has no function.
var ErrNoFunction = errors.New("periodic: a task needs a function")

// PanicError is what a panic of a task becomes.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Func is what a task does. It runs on the goroutine that runs the tasks, so a slow one delays the others.
type Func func(ctx context.Context) error

// Tasks are the periodic tasks of one service. The zero value is ready; a manager may embed it. The fields must
// not be changed once a task was added. All methods are safe for concurrent use.
type Tasks struct {
	// SkipExternal leaves out the tasks that another process may run (oslo.service:
	// run_external_periodic_tasks = false, whose default is true).
	SkipExternal bool
	// Log gets a line for each task that is skipped or fails. nil means logrus.StandardLogger().
	Log logrus.FieldLogger
	// Jitter is the source of the random part of spacings: a number from 0 up to, but not, 1. It is called by one
	// goroutine at a time. nil means a random one.
	Jitter func() float64

	mu    sync.Mutex
	tasks []*task
}

type task struct {
	name     string
	spacing  time.Duration
	f        Func
	external bool
	disabled bool
	now      bool

	lastRun time.Time // zero: never, and due at once; guarded by Tasks.mu
}

// TaskOption says more about a task.
type TaskOption interface{ apply(t *task) }

type taskOption func(*task)

func (o taskOption) apply(t *task) { o(t) }

// RunImmediately makes the task due at the first run. Default: it is due one spacing after it was added.
func RunImmediately() TaskOption { return taskOption(func(t *task) { t.now = true }) }

// Enabled with false keeps the task from being registered, which an info line says. Default: true.
func Enabled(enabled bool) TaskOption { return taskOption(func(t *task) { t.disabled = !enabled }) }

// ExternalProcessOK marks a task that another process may run instead (see [Tasks.SkipExternal]). Default: it is
// run here.
func ExternalProcessOK() TaskOption { return taskOption(func(t *task) { t.external = true }) }

// Periodic adds a task, to be run every spacing. Tasks run in the order in which they were added; they can be
// added at any time, also by a task.
//
// A spacing of 0 means 60 s. A task with a negative spacing, or one that is not enabled, is not registered, which
// is no error: an info line says so. Periodic fails with [ErrDuplicate] and [ErrNoFunction].
func (t *Tasks) Periodic(name string, spacing time.Duration, f Func, opts ...TaskOption) error {
	added := &task{name: name, spacing: spacing, f: f}
	for _, o := range opts {
		o.apply(added)
	}
	if f == nil {
		return fmt.Errorf("%w: %q", ErrNoFunction, name)
	}
	if reason := added.skipped(); reason != "" {
		t.log().WithFields(logrus.Fields{"task": name, "reason": reason}).Info("a periodic task is not registered")
		return nil
	}
	if spacing == 0 {
		added.spacing = DefaultInterval
	}
	if !added.now {
		added.lastRun = time.Now()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, other := range t.tasks {
		if other.name == name {
			return fmt.Errorf("%w: %q", ErrDuplicate, name)
		}
	}
	t.tasks = append(t.tasks, added)
	return nil
}

func (t *task) skipped() string {
	switch {
	case t.spacing < 0:
		return "its spacing is negative"
	case t.disabled:
		return "it is disabled"
	default:
		return ""
	}
}

// Names returns the names of the registered tasks in their order.
func (t *Tasks) Names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := make([]string, len(t.tasks))
	for i, task := range t.tasks {
		names[i] = task.name
	}
	return names
}

// RunOption changes one run of the tasks.
type RunOption interface{ applyRun(r *runConfig) }

type runConfig struct{ raise bool }

type runOption func(*runConfig)

func (o runOption) applyRun(r *runConfig) { o(r) }

// RaiseOnError makes the first error end the run, which returns it; tasks behind are not run. Default: an error is
// logged and the run goes on.
func RaiseOnError() RunOption { return runOption(func(r *runConfig) { r.raise = true }) }

// RunPeriodicTasks runs the tasks that are due, one after the other on the caller's goroutine, and tells how long
// nothing will be due: at most 60 s, and at most the smallest spacing. That time was reckoned when each task was
// looked at, so what the tasks behind it took comes on top.
//
// A task that failed or was slow is not run again before its spacing is over, and runs that were missed are not
// made up for: the next one falls on a multiple of the spacing after the last, plus up to 5 % of the spacing in
// whole seconds, so none below 20 s (oslo.service, periodic_task.py, _nearest_boundary). A panic of a task counts
// as its error.
//
// The run ends early, with the cause, when ctx ends; otherwise the error is nil without [RaiseOnError].
func (t *Tasks) RunPeriodicTasks(ctx context.Context, opts ...RunOption) (time.Duration, error) {
	var conf runConfig
	for _, o := range opts {
		o.applyRun(&conf)
	}
	idle := DefaultInterval
	for _, task := range t.snapshot() {
		if task.external && t.SkipExternal {
			continue
		}
		if ctx.Err() != nil {
			return idle, context.Cause(ctx)
		}
		due, wait := t.take(task)
		idle = min(idle, wait)
		if !due {
			continue
		}
		if err := t.run(ctx, task); err != nil && conf.raise {
			return idle, fmt.Errorf("periodic: run %s: %w", task.name, err)
		} else if err != nil {
			t.logError(task, err)
		}
	}
	return idle, nil
}

func (t *Tasks) snapshot() []*task {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]*task(nil), t.tasks...)
}

// take reports whether the task is due, and what it adds to the idle time. A task that is due counts as run from
// here on, so that a slow or failing one is not run early by anybody.
func (t *Tasks) take(task *task) (due bool, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if !task.lastRun.IsZero() {
		if left := task.lastRun.Add(task.spacing).Sub(now); left > 0 {
			return false, min(left, task.spacing)
		}
	}
	task.lastRun = t.boundary(now, task)
	return true, task.spacing
}

// boundary is the last multiple of the spacing since the last run, and a little later.
func (t *Tasks) boundary(now time.Time, task *task) time.Time {
	if task.lastRun.IsZero() {
		return now
	}
	offset := now.Sub(task.lastRun) % task.spacing
	jitter := math.Floor(task.spacing.Seconds() * t.random() / 20)
	return now.Add(-offset + time.Duration(jitter)*time.Second)
}

func (t *Tasks) random() float64 {
	if t.Jitter == nil {
		return rand.Float64()
	}
	return t.Jitter()
}

// run turns a panic of the task into its error.
func (t *Tasks) run(ctx context.Context, task *task) (err error) {
	t.log().WithField("task", task.name).Debug("running a periodic task")
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return task.f(ctx)
}

func (t *Tasks) logError(task *task, err error) {
	log := t.log().WithError(err).WithField("task", task.name)
	var panicked *PanicError
	if errors.As(err, &panicked) {
		log = log.WithField("stack", string(panicked.Stack))
	}
	log.Error("a periodic task failed")
}

func (t *Tasks) log() logrus.FieldLogger {
	if t.Log == nil {
		return logrus.StandardLogger()
	}
	return t.Log
}
