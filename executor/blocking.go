package executor

import (
	"context"
	"fmt"
)

// blocking runs tasks on their submitter's goroutine; place lets one at a time.
type blocking struct {
	gate
	place chan struct{}
}

func newBlocking() *blocking {
	return &blocking{gate: newGate(), place: make(chan struct{}, 1)}
}

func (e *blocking) Submit(ctx context.Context, task func()) error {
	if err := acquire(ctx, &e.gate, e.place); err != nil {
		return err
	}
	defer func() { <-e.place; e.leave() }()
	task()
	return nil
}

func (e *blocking) Shutdown(ctx context.Context) error {
	e.shut()
	return e.drain(ctx)
}

// acquire takes a place in sem, waiting for one, and enters the gate.
func acquire(ctx context.Context, g *gate, sem chan struct{}) error {
	select {
	case sem <- struct{}{}:
	case <-g.done:
		return ErrShutdown
	case <-ctx.Done():
		return fmt.Errorf("executor: wait for a free place: %w", context.Cause(ctx))
	}
	if err := g.enter(); err != nil {
		<-sem
		return err
	}
	return nil
}
