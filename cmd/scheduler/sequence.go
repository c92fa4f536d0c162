package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/goslo/goslo/service"
)

// sequence makes one service of several in a process: they start in their order, each when the one before it works, and stop
// the other way round. So those who ask have their answers before those who are asked end; a launcher stops in the order in
// which it starts, as oslo.service does.
type sequence []service.Service

// closeTimeout bounds the end of those that have started before one that did not.
const closeTimeout = 5 * time.Second

// Start implements service.Service: all or none.
func (q sequence) Start(ctx context.Context) error {
	for i, svc := range q {
		if err := svc.Start(ctx); err != nil {
			undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer cancel()
			return errors.Join(err, q[:i].Stop(undoing))
		}
	}
	return nil
}

// Stop implements service.Service.
func (q sequence) Stop(ctx context.Context) error { return q.backward(ctx, service.Service.Stop) }

// Wait implements service.Service.
func (q sequence) Wait(ctx context.Context) error { return q.backward(ctx, service.Service.Wait) }

func (q sequence) backward(ctx context.Context, do func(service.Service, context.Context) error) error {
	var errs []error
	for _, svc := range slices.Backward(q) {
		errs = append(errs, do(svc, ctx))
	}
	return errors.Join(errs...)
}

// Reset implements service.Service.
func (q sequence) Reset(ctx context.Context) error {
	var errs []error
	for _, svc := range q {
		errs = append(errs, svc.Reset(ctx))
	}
	return errors.Join(errs...)
}
