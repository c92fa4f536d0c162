// Package executor decides how many handlers run at once and on which goroutine. It knows nothing of messages.
//
// Every executor bounds what it accepts: Submit waits until the task can run. That wait is the bus's
// back-pressure, since a server polls its next message only when Submit has returned.
package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Type names an executor.
type Type string

const (
	// Blocking runs each task in the goroutine that submits it, one at a time.
	Blocking Type = "blocking"
	// Threading runs each task in a fresh goroutine, at most size of them at once. The default.
	Threading Type = "threading"
	// Pool runs tasks on size goroutines that live as long as the executor, with a hand-over of as many tasks
	// that wait for one.
	Pool Type = "pool"
)

// DefaultSize is the size of an executor that is given none (oslo.messaging option
// executor_thread_pool_size).
const DefaultSize = 64

// ErrShutdown tells that a task was submitted after Shutdown.
var ErrShutdown = errors.New("executor is shut down")

// UnknownTypeError names a type that does not exist.
type UnknownTypeError struct{ Type Type }

func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("unknown executor %q: want %s, %s or %s", string(e.Type), Blocking, Threading, Pool)
}

// Executor runs tasks. Its methods are safe for concurrent use.
type Executor interface {
	// Submit runs task and returns when it runs (or, with Blocking, has run). It waits while all places are
	// taken, and fails without running the task when ctx ends first or the executor is shut down (ErrShutdown).
	// A task that panics takes the process down: recovering is the task's matter.
	Submit(ctx context.Context, task func()) error
	// Shutdown refuses new tasks and waits for those that were accepted, or until ctx ends, and then fails with
	// its error. Shutting down twice is harmless.
	Shutdown(ctx context.Context) error
}

// New makes an executor. A size of 0 means DefaultSize; a negative one is an error. An empty type is
// Threading; "eventlet", oslo.messaging's other name, is Threading too. The error is an
// [*UnknownTypeError] for any other name.
func New(t Type, size int) (Executor, error) {
	if size < 0 {
		return nil, fmt.Errorf("executor size must not be negative, got %d", size)
	}
	if size == 0 {
		size = DefaultSize
	}
	switch t {
	case Blocking:
		return newBlocking(), nil
	case Threading, "", "eventlet":
		return newThreading(size), nil
	case Pool:
		return newPool(size), nil
	}
	return nil, &UnknownTypeError{t}
}

// Places is how many tasks an executor of that type and size runs at once.
func Places(t Type, size int) int {
	switch {
	case t == Blocking:
		return 1
	case size <= 0:
		return DefaultSize
	}
	return size
}

// gate counts the tasks that were accepted and closes once.
type gate struct {
	mu     sync.Mutex
	closed bool
	tasks  sync.WaitGroup
	done   chan struct{} // closed by shut
	wait   sync.Once
	empty  chan struct{} // closed when the last task has ended after shut
}

func newGate() gate { return gate{done: make(chan struct{}), empty: make(chan struct{})} }

// enter takes a place among the accepted tasks; it fails once the gate is shut.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrShutdown
	}
	g.tasks.Add(1)
	return nil
}

func (g *gate) leave() { g.tasks.Done() }

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		close(g.done)
	}
}

// drain waits for the accepted tasks. One goroutine waits for all callers; it ends with the last task.
func (g *gate) drain(ctx context.Context) error {
	g.wait.Do(func() {
		go func() {
			g.tasks.Wait()
			close(g.empty)
		}()
	})
	select {
	case <-g.empty:
		return nil
	default:
	}
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("executor: wait for running tasks: %w", context.Cause(ctx))
	}
}
