package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// startGrace is how long Stop waits for a Start that has not returned, after its context has ended. A service should not
// be stopped while it starts; one whose Start never returns must be.
const startGrace = time.Second

// Services runs a list of services in this process. Everything happens in the order in which they were added, stops
// included. It handles no signals: that is a launcher's part. It is safe for concurrent use.
type Services struct {
	log    logrus.FieldLogger
	failed chan error // the first that did not start; nobody asks for another
	starts sync.WaitGroup

	mu       sync.Mutex
	members  []*member
	stopping bool          // since Stop began, until a restart
	done     chan struct{} // closed by Stop at its end
}

// member is a service and its life, which begins anew when it is started again.
type member struct {
	Service
	*life
}

type life struct {
	cancel   context.CancelFunc
	stopping context.Context //nolint:containedctx // that of Start, to see whether it was cancelled
	started  chan struct{}   // closed when Start has returned
	err      error           // of Start
}

// NewServices makes an empty list. A nil log is logrus.StandardLogger().
func NewServices(log logrus.FieldLogger) *Services {
	if log == nil {
		log = logrus.StandardLogger()
	}
	return &Services{log: log, failed: make(chan error, 1), done: make(chan struct{})}
}

// Add starts a service in a goroutine of its own; its caller is not blocked. An error of Start is logged and sent to
// [Services.Failed]. Once Stop was called the service is started by a restart only.
func (s *Services) Add(svc Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		s.members = append(s.members, unstarted(svc))
		return
	}
	s.members = append(s.members, s.start(svc))
}

// unstarted is a service whose first life is over before it begins.
func unstarted(svc Service) *member {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	started := make(chan struct{})
	close(started)
	return &member{svc, &life{cancel: cancel, stopping: ctx, started: started}}
}

// start begins a life of a service.
func (s *Services) start(svc Service) *member {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{svc, &life{cancel: cancel, stopping: ctx, started: make(chan struct{}), err: errExited}}
	s.starts.Go(func() {
		defer close(m.started)
		defer s.noteFailure(m)
		m.err = guard(ctx, svc.Start)
	})
	return m
}

func (s *Services) noteFailure(m *member) {
	if m.err == nil || m.stopping.Err() != nil {
		return // a start that was cancelled may fail
	}
	logFailure(s.log, m.err, "a service did not start")
	select {
	case s.failed <- m.err:
	default:
	}
}

// logFailure logs an error of a service, with the stack where there is one.
func logFailure(log logrus.FieldLogger, err error, message string) {
	log = log.WithError(err)
	var unexpected *PanicError
	if errors.As(err, &unexpected) {
		log = log.WithField("stack", string(unexpected.Stack))
	}
	log.Error(message)
}

// Failed gets the error of the first service that did not start.
func (s *Services) Failed() <-chan error { return s.failed }

// Started returns when the Start of every service has returned: nil if each has succeeded, else the first error. It fails
// with the context's cause if the context ends first.
func (s *Services) Started(ctx context.Context) error {
	for _, m := range s.list() {
		select {
		case <-m.started:
			if m.err != nil {
				return m.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Stop stops the services one after the other and returns the errors of those that failed. It goes through the whole list
// even if ctx ends.
func (s *Services) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	members := slices.Clone(s.members)
	s.mu.Unlock()
	for _, m := range members {
		m.abortStart()
	}
	var errs []error
	for _, m := range members {
		m.awaitStart(ctx)
		errs = append(errs, s.each(ctx, m, "stop", m.Stop))
	}
	s.finish()
	for _, m := range members {
		m.cancel()
	}
	return errors.Join(errs...)
}

// abortStart ends the context of a Start that has not returned; that of one which has stays until the service is stopped,
// in case the service holds on to it.
func (l *life) abortStart() {
	select {
	case <-l.started:
	default:
		l.cancel()
	}
}

func (l *life) awaitStart(ctx context.Context) {
	grace := time.NewTimer(startGrace)
	defer grace.Stop()
	select {
	case <-l.started:
	case <-grace.C:
	case <-ctx.Done():
	}
}

// each calls a method of one service of several: an error is logged here and does not keep the others from their turn.
func (s *Services) each(ctx context.Context, m *member, what string, method func(context.Context) error) error {
	err := guard(ctx, method)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s %T: %w", what, m.Service, err)
	logFailure(s.log, err, "a service failed")
	return err
}

func (s *Services) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
	default:
		close(s.done)
	}
}

// Wait waits for the services one after the other, and then for Stop: services that have nothing left to do are not at
// their end before they are stopped. It fails with the context's cause if the context ends first.
func (s *Services) Wait(ctx context.Context) error {
	var errs []error
	for _, m := range s.list() {
		errs = append(errs, s.each(ctx, m, "wait for", m.Wait))
	}
	select {
	case <-s.stopped():
	case <-ctx.Done():
		return errors.Join(append(errs, context.Cause(ctx))...)
	}
	return errors.Join(append(errs, s.awaitStarts(ctx))...)
}

func (s *Services) stopped() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// awaitStarts waits for the goroutines that run Start.
func (s *Services) awaitStarts(ctx context.Context) error {
	for _, m := range s.list() {
		select {
		case <-m.started:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Restart makes the services take a new configuration. [Mutate] only resets each of them. [Reload] stops them all, and
// then resets and starts each again, the same object; what was in flight ends as the service's Stop has it, and need not
// have ended when the service starts again.
//
// Errors of Stop and Reset are logged and returned; those of Start go to [Services.Failed].
func (s *Services) Restart(ctx context.Context, method RestartMethod) error {
	if method == Mutate {
		return s.reset(ctx)
	}
	err := s.Stop(ctx)
	return errors.Join(err, s.startAgain(ctx))
}

func (s *Services) reset(ctx context.Context) error {
	var errs []error
	for _, m := range s.list() {
		errs = append(errs, s.each(ctx, m, "reset", m.Reset))
	}
	return errors.Join(errs...)
}

// startAgain is the second half of a reload.
func (s *Services) startAgain(ctx context.Context) error {
	s.mu.Lock()
	s.stopping, s.done = false, make(chan struct{})
	members := slices.Clone(s.members)
	s.mu.Unlock()

	var errs []error
	for i, m := range members {
		errs = append(errs, s.each(ctx, m, "reset", m.Reset))
		s.mu.Lock()
		s.members[i] = s.start(m.Service)
		s.mu.Unlock()
	}
	return errors.Join(errs...)
}

func (s *Services) list() []*member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.members)
}
