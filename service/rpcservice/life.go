package rpcservice

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/service/loopcall"
	"github.com/goslo/goslo/service/periodic"
)

// undoTimeout bounds the undoing of a start that failed, where methods may run already, and how long a start waits for the end
// of an earlier life. It is what graceful_shutdown_timeout is for a stop by default.
const undoTimeout = 60 * time.Second

// undoGrace is how long the undoing of a step may take when the time for a stop is over already: a launcher has not much more
// (service.Config, GracefulShutdownTimeout).
const undoGrace = 500 * time.Millisecond

// phase is how far a life has come. The texts are for people.
type phase string

const (
	starting phase = "starting"
	working  phase = "working"
	stopping phase = "stopping"
	ended    phase = "stopped"
)

// life is one life of a service, from Start to the end of everything that it began.
type life struct {
	abort   context.CancelCauseFunc // makes a start that has not returned fail
	stopped chan struct{}           // closed when the life is not to go on: by Stop, or by a start that failed

	// The context of timers.
	ctx    context.Context //nolint:containedctx // ends when the service is stopped
	cancel context.CancelCauseFunc

	begun []step // that have not ended; for who has the service's turn

	phase phase     // guarded by RPCService.mu
	since time.Time // of the phase; guarded by RPCService.mu
}

// step is a part of a service's life.
type step struct {
	name  string
	start func(ctx context.Context) error
	// halt makes the part take nothing new. nil is for nothing to do.
	halt func(ctx context.Context) error
	// wait waits for what the part runs. It can be called again where its context has ended. nil is for nothing to do.
	wait func(ctx context.Context) error
	// undo gives up what start took, once nothing runs any more. nil is for nothing to do.
	undo func(ctx context.Context) error
}

// steps are what makes a service work, in their order.
func (s *RPCService) steps(l *life) []step {
	return []step{
		{name: "init host", start: s.manager.InitHost, undo: s.manager.CleanupHost},
		{
			name:  "listen",
			start: func(ctx context.Context) error { return s.server.Start(ctx) },
			halt:  s.server.Stop, wait: s.server.Wait,
		},
		{name: "init host with RPC", start: s.manager.InitHostWithRPC}, // CleanupHost undoes it
		timer("start periodic tasks", l, s.periodicTimer),
		timer("start reports", l, s.reportTimer),
	}
}

// timer is a step that runs a loop; one that is nil is not wanted.
func timer(name string, l *life, newLoop func() *loopcall.Loop) step {
	var loop *loopcall.Loop
	return step{
		name: name,
		start: func(context.Context) error {
			if loop = newLoop(); loop == nil {
				return nil
			}
			return loop.Start(l.ctx)
		},
		wait: func(ctx context.Context) error {
			if loop == nil {
				return nil
			}
			if _, err := loop.Wait(ctx); loop.Running() {
				return err
			}
			return nil // the loop has logged what ended it, unless it was l.ctx
		},
	}
}

func (s *RPCService) periodicTimer() *loopcall.Loop {
	tasks := s.manager.PeriodicTasks()
	s.mu.Lock()
	s.tasks = tasks
	s.mu.Unlock()
	if tasks == nil {
		return nil
	}
	return periodic.NewTimer(tasks, s.config.schedule())
}

func (s *RPCService) reportTimer() *loopcall.Loop {
	if s.config.ReportState == nil {
		return nil
	}
	return loopcall.Fixed(s.config.ReportInterval, s.reports.beat, loopcall.WithName("report_state"),
		loopcall.WithInitialDelay(s.config.ReportInterval), loopcall.ContinueOnError(), loopcall.WithLog(s.log))
}

// begin begins a life, all of it or nothing.
func (s *RPCService) begin(ctx context.Context) (err error) {
	starts, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	l := s.newLife(ctx, abort)
	defer func() { // deferred: a step that panics, or ends its goroutine, is no reason to keep listening
		if s.phaseOf(l) != working {
			err = errors.Join(err, s.undo(ctx, l))
		}
	}()
	for _, step := range s.steps(l) {
		err := context.Cause(starts)
		if err == nil {
			err = step.start(starts)
		}
		if err != nil {
			return fmt.Errorf("rpcservice: start %s: %s: %w", s.config.Name, step.name, because(starts, err))
		}
		l.begun = append(l.begun, step)
	}
	s.enter(l, working)
	s.log.Info("the service works")
	return nil
}

// because adds to an error of a start why its context has ended, where the error does not tell.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func (s *RPCService) newLife(ctx context.Context, abort context.CancelCauseFunc) *life {
	l := &life{abort: abort, stopped: make(chan struct{}), phase: starting, since: time.Now()}
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = l
	return l
}

// undo ends a life that did not come to work.
func (s *RPCService) undo(ctx context.Context, l *life) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	s.halt(ctx, l)
	return s.finish(ctx, l)
}

// halt makes everything that was begun take nothing new. It is called once in a life.
func (s *RPCService) halt(ctx context.Context, l *life) {
	s.enter(l, stopping)
	close(l.stopped)
	l.cancel(ErrStopped)
	for _, step := range slices.Backward(l.begun) {
		if step.halt == nil {
			continue
		}
		if err := guarded(ctx, step.halt); err != nil {
			s.log.WithError(err).WithField("step", step.name).Error("a part of the service did not stop as it should")
		}
	}
}

// finish waits for everything that was begun, and then undoes it, last step first, if need be while something still runs.
// It fails where ctx ends first, and can then be called again; other errors are logged.
func (s *RPCService) finish(ctx context.Context, l *life) error {
	left, err := s.await(ctx, l.begun)
	for _, step := range slices.Backward(l.begun) {
		if step.undo == nil {
			continue
		}
		if undoing, late := s.undoStep(ctx, step); late != nil {
			left, err = append(left, undoing), errors.Join(err, late)
		}
	}
	l.begun = left
	if len(left) == 0 && s.phaseOf(l) != ended {
		s.enter(l, ended)
		s.log.Info("the service has stopped")
	}
	return err
}

// undoStep undoes a step, and fails where that has not ended a moment after ctx: what it returns then is left to wait for.
func (s *RPCService) undoStep(ctx context.Context, t step) (step, error) {
	done := make(chan struct{})
	var err error
	go func() { // ends with a hook of the manager's, which the step that is returned waits for
		defer close(done)
		err = guarded(ctx, t.undo)
	}()
	if !endsBy(ctx, done) {
		return step{name: t.name, wait: func(ctx context.Context) error {
			select {
			case <-done:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}}, s.notStopped(t, context.Cause(ctx))
	}
	if err != nil {
		s.log.WithError(err).WithField("step", t.name).Error("a part of the service was not undone")
	}
	return step{}, nil
}

// inTime ends an earlier life before the next one begins, in the time that an undoing has.
func inTime(ctx context.Context, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	return end(ctx)
}

// endsBy waits until done is closed, at most until a moment after ctx has ended.
func endsBy(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	grace := time.NewTimer(undoGrace)
	defer grace.Stop()
	select {
	case <-done:
		return true
	case <-grace.C:
		return false
	}
}

func (s *RPCService) notStopped(t step, err error) error {
	return fmt.Errorf("rpcservice: stop %s: %q: %w", s.config.Name, t.name, err)
}

// await waits for all steps at once, so that one which takes all the time does not cost the others theirs. It returns what
// is left to wait for.
func (s *RPCService) await(ctx context.Context, steps []step) (left []step, err error) {
	errs := make([]error, len(steps))
	var waits sync.WaitGroup
	for i, step := range steps {
		if step.wait != nil {
			waits.Go(func() { errs[i] = guarded(ctx, step.wait) })
		}
	}
	waits.Wait()
	for i, step := range steps {
		switch {
		case errs[i] == nil:
		case ctx.Err() != nil:
			left = append(left, step.toWait())
			err = errors.Join(err, s.notStopped(step, errs[i]))
		default:
			s.log.WithError(errs[i]).WithField("step", step.name).Error("a part of the service did not end as it should")
		}
	}
	return left, err
}

// toWait is a step whose undoing is done.
func (t step) toWait() step {
	t.undo = nil
	return t
}

// guarded turns a panic of f into an error: the end of a service has to go on.
func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	return f(ctx)
}

func (s *RPCService) current() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

func (s *RPCService) phaseOf(l *life) phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.phase
}

func (s *RPCService) enter(l *life, p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.phase, l.since = p, time.Now()
}
