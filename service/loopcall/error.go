package loopcall

import (
	"errors"
	"fmt"
	"time"
)

// ErrRunning tells that a loop was started while it ran: a loop runs one function at a time.
var ErrRunning = errors.New("loopcall: a loop can only run one function at a time")

// ErrNotStarted tells that Wait was called on a loop that was never started.
var ErrNotStarted = errors.New("loopcall: the loop was never started")

// ErrNoInterval ends a [Dynamic] loop whose function gave no interval while the loop has no greatest one.
var ErrNoInterval = errors.New(
	"loopcall: a dynamic loop needs an interval from its function or WithPeriodicIntervalMax")

// ErrExited ends a loop whose function ended its goroutine with [runtime.Goexit].
var ErrExited = errors.New("loopcall: the function ended its goroutine")

// TimeoutError ends a loop made by [FixedWithTimeout] or [Backoff] that ran, or failed, for too long.
type TimeoutError struct {
	// Elapsed is how long the loop had run for FixedWithTimeout, and how long it would have waited between failures,
	// the wait to come included, for Backoff.
	Elapsed time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("looping call timed out after %.2f seconds", e.Elapsed.Seconds())
}

// Timeout reports true, as [net.Error] does.
func (e *TimeoutError) Timeout() bool { return true }

// PanicError is what a panic of a loop's function becomes.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Done is the error with which a function ends its loop: Wait returns v and no error. It may be wrapped.
func Done(v any) error { return &doneError{value: v} }

type doneError struct{ value any }

func (e *doneError) Error() string { return "loopcall: done" }
