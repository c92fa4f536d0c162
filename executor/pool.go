package executor

import (
	"context"
	"fmt"
	"sync"
)

// pool runs tasks on a fixed set of workers. Places counts running and handed-over tasks together, so that
// the hand-over channel never blocks a worker's end.
type pool struct {
	gate
	tasks   chan func()
	workers sync.WaitGroup
	stop    sync.Once
}

func newPool(size int) *pool {
	e := &pool{gate: newGate(), tasks: make(chan func(), size)}
	for range size {
		e.workers.Go(e.work)
	}
	return e
}

// work runs tasks until the channel is closed. A task that calls runtime.Goexit ends its worker; another
// takes over.
func (e *pool) work() {
	for task := range e.tasks {
		e.run(task)
	}
}

func (e *pool) run(task func()) {
	ended := false
	defer func() {
		e.leave()
		if !ended {
			e.workers.Go(e.work)
		}
	}()
	task()
	ended = true
}

func (e *pool) Submit(ctx context.Context, task func()) error {
	if err := e.enter(); err != nil {
		return err
	}
	select {
	case e.tasks <- task:
		return nil
	case <-e.done:
		e.leave()
		return ErrShutdown
	case <-ctx.Done():
		e.leave()
		return fmt.Errorf("executor: wait for a free place: %w", context.Cause(ctx))
	}
}

func (e *pool) Shutdown(ctx context.Context) error {
	e.shut()
	if err := e.drain(ctx); err != nil {
		return err
	}
	// Nobody submits any more, and no task is left: the workers can go.
	e.stop.Do(func() { close(e.tasks) })
	e.workers.Wait()
	return nil
}
