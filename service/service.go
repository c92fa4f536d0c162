package service

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// Service is what a launcher runs (oslo.service: ServiceBase).
//
// Stop and Wait must bear being called more than once, and before Start or after a Start that failed. After a reload in
// one process the same object is started again (see [Services.Restart]).
type Service interface {
	// Start returns once the service has started; what goes on after that is in goroutines of its own. An error ends
	// the launcher with status 1, or that of an [*ExitError].
	//
	// The context ends when the service has been stopped; where Start has not returned by then, before Stop is called.
	Start(ctx context.Context) error
	// Stop ends the service, gracefully if the service can: until the context ends, which is shortly before the process
	// is ended whatever the service does.
	Stop(ctx context.Context) error
	// Wait returns when nothing of the service runs any more.
	Wait(ctx context.Context) error
	// Reset tells that the configuration has changed. It must not disturb work in flight.
	Reset(ctx context.Context) error
}

// Exit statuses of launchers and workers (oslo.service: service.py, _child_wait_for_exit_or_signal).
const (
	exitStopped    = 0 // as asked
	exitFailed     = 1 // a service did not start, a timeout, an interrupt; in a worker: the parent has died
	exitUnexpected = 2 // a panic in a service
)

// ExitError is an error of Start that chooses the exit status.
type ExitError struct {
	Code int   // exit status
	Err  error // may be nil
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// PanicError is what a panic in a service becomes. It ends the launcher with status 2.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// errExited stands for a method that has ended its goroutine.
var errExited = errors.New("the service ended its goroutine")

// guard turns a panic of f into an error.
func guard(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(ctx)
}

// exitCode is the status with which an error of a service ends the process.
func exitCode(err error) int {
	var (
		exit       *ExitError
		unexpected *PanicError
	)
	switch {
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &unexpected):
		return exitUnexpected
	default:
		return exitFailed
	}
}
