package loopcall

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Loop calls a function again and again on a goroutine of its own. [Fixed], [FixedWithTimeout], [Dynamic] and
// [Backoff] make one.
//
// Its life is Start, Stop, Wait; when it has ended it can be started again, and begins afresh. All methods are
// safe for concurrent use.
type Loop struct {
	config config
	kind   string
	check  func() error
	begin  func() step // makes the state of one run

	mu  sync.Mutex
	run *run // nil before the first Start
}

// step calls the function once. The delay it returns tells how long to wait before the next call.
type step func(ctx context.Context) (delay, error)

// delay is asked only if the loop was not stopped during the call.
type delay func() (time.Duration, error)

// run is one life of a loop, from Start to its end.
type run struct {
	stop     chan struct{}
	stopOnce sync.Once
	ended    chan struct{}

	// Written before ended is closed, read after.
	value any
	err   error
}

// Start begins the loop and returns at once. It fails with [ErrRunning] while the loop runs, and with an error
// that names the offending value if the loop was made with one that cannot be.
//
// The function gets ctx. When ctx ends the loop ends too, with ctx's cause, as soon as a call that runs has
// returned: give it the context of what the loop belongs to, not one that bounds the start.
func (l *Loop) Start(ctx context.Context) error {
	if err := l.check(); err != nil {
		return fmt.Errorf("loopcall: start %s: %w", l.config.name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run != nil && !l.run.hasEnded() {
		return ErrRunning
	}
	l.run = &run{stop: make(chan struct{}), ended: make(chan struct{})}
	go l.loop(ctx, l.run, l.begin()) // its owner waits for it with Wait
	return nil
}

// Stop tells the loop to end and does not wait for it. A wait between calls ends at once; a call that runs is not
// interrupted. Stop during the initial delay means that the function is not called at all. It is harmless before
// Start, twice, and from within the function.
func (l *Loop) Stop() {
	if r := l.current(); r != nil {
		r.stopOnce.Do(func() { close(r.stop) })
	}
}

// Wait returns when the loop has ended: the value of [Done], true after Stop, or the error that ended the loop,
// which is the function's own, a [*TimeoutError], a [*PanicError], [ErrNoInterval], [ErrExited] or the cause of
// Start's context. It returns the same until the loop is started again.
//
// It fails with ctx's cause if ctx ends first, and with [ErrNotStarted] before Start. The function itself must not
// call it: it would wait for itself.
func (l *Loop) Wait(ctx context.Context) (any, error) {
	r := l.current()
	if r == nil {
		return nil, ErrNotStarted
	}
	select {
	case <-r.ended:
		return r.value, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("loopcall: wait for %s: %w", l.config.name, context.Cause(ctx))
	}
}

// Running reports whether the loop was started and has not ended.
func (l *Loop) Running() bool {
	r := l.current()
	return r != nil && !r.hasEnded()
}

func (l *Loop) current() *run {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.run
}

// loop is the goroutine of one run.
func (l *Loop) loop(ctx context.Context, r *run, next step) {
	r.err = ErrExited // unless the loop gets to say otherwise
	defer close(r.ended)
	defer func() { l.logEnd(ctx, r.err) }()

	err := l.repeat(ctx, r, next)
	var done *doneError
	if errors.As(err, &done) {
		r.value, r.err = done.value, nil
		return
	}
	if err != nil {
		r.err = err
		return
	}
	r.value, r.err = true, nil
}

// repeat returns nil when the loop was stopped, and otherwise what ended it.
func (l *Loop) repeat(ctx context.Context, r *run, next step) error {
	wait := l.config.initialDelay
	for {
		if stopped, err := r.sleep(ctx, wait); stopped || err != nil {
			return err
		}
		delay, err := next(ctx)
		if err != nil {
			return err
		}
		if r.isStopped() {
			return nil
		}
		if wait, err = delay(); err != nil {
			return err
		}
	}
}

// logEnd says that an error has ended the loop, unless its context had ended anyway.
func (l *Loop) logEnd(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	withError(l.config.log, err).WithFields(logrus.Fields{"loop": l.config.name, "kind": l.kind}).
		Error("a looping call failed and has ended")
}

// sleep waits for d, and reports whether the loop was stopped meanwhile. An ended context is an error.
func (r *run) sleep(ctx context.Context, d time.Duration) (stopped bool, err error) {
	if r.isStopped() {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if d <= 0 {
		return false, nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return r.isStopped(), nil
	case <-r.stop:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

func (r *run) isStopped() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

func (r *run) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// schedule tells how long to wait after a call that gave result and took elapsed.
type schedule[T any] func(result T, elapsed time.Duration) (time.Duration, error)

// steps makes a step of a function and a schedule. With ContinueOnError an error of the function counts as the
// result afterError; errors of the schedule always end the loop.
func steps[T any](c *config, f func(context.Context) (T, error), afterError T, after schedule[T]) step {
	return func(ctx context.Context) (delay, error) {
		begin := time.Now()
		result, err := call(ctx, f)
		if err != nil {
			if !c.continueOnError || ctx.Err() != nil || isDone(err) {
				return nil, err
			}
			withError(c.log, err).WithField("loop", c.name).Error("a looping call failed and goes on")
			result = afterError
		}
		elapsed := time.Since(begin)
		return func() (time.Duration, error) { return after(result, elapsed) }, nil
	}
}

func isDone(err error) bool {
	var done *doneError
	return errors.As(err, &done)
}

// call turns a panic of f into an error, which ends the loop and not the process.
func call[T any](ctx context.Context, f func(context.Context) (T, error)) (result T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(ctx)
}

func withError(log logrus.FieldLogger, err error) logrus.FieldLogger {
	var panicked *PanicError
	if errors.As(err, &panicked) {
		log = log.WithField("stack", string(panicked.Stack))
	}
	return log.WithError(err)
}
