package executor

import "context"

// threading runs each task in a goroutine of its own; places bounds them.
type threading struct {
	gate
	places chan struct{}
}

func newThreading(size int) *threading {
	return &threading{gate: newGate(), places: make(chan struct{}, size)}
}

func (e *threading) Submit(ctx context.Context, task func()) error {
	if err := acquire(ctx, &e.gate, e.places); err != nil {
		return err
	}
	go func() {
		// Deferred: runtime.Goexit in a task must not cost a place.
		defer func() { <-e.places; e.leave() }()
		task()
	}()
	return nil
}

func (e *threading) Shutdown(ctx context.Context) error {
	e.shut()
	return e.drain(ctx)
}
