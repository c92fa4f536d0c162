package rpcservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/goslo/goslo/messaging"
)

// Renewing is a service that is made anew for each of its lives, on a transport of its own: what a reload starts again goes
// by the configuration of then, the address of the broker included. It is a Service of package service. Its methods are
// safe for concurrent use.
type Renewing struct {
	name string
	make func() (*RPCService, *messaging.Transport, error)
	turn turn // of Start and Stop

	mu    sync.Mutex
	abort context.CancelCauseFunc // of a Start that is under way
	life  *renewed                // the latest that was begun; nil before the first

	// Of Progress.
	progress uint64
	watched  *renewed // nil where the last look saw none that works
	last     uint64   // its progress then
}

// renewed is one life: a service, and the transport that is closed after it.
type renewed struct {
	*RPCService
	transport *messaging.Transport
	ended     bool // guarded by Renewing.turn
}

// closeTimeout bounds the end of a transport whose service did not start.
const closeTimeout = 5 * time.Second

// NewRenewing makes a service of what makes one; the name is for errors. makeOne is called at each Start, and at each Check.
// The transport that it returns is closed when the service's life ends. Nothing that it does may touch the network.
func NewRenewing(name string, makeOne func() (*RPCService, *messaging.Transport, error)) *Renewing {
	return &Renewing{name: name, make: makeOne, turn: newTurn()}
}

// Check makes a service and throws it away, so that a program finds what is wrong with its configuration before it launches
// anything.
func (r *Renewing) Check(ctx context.Context) error {
	_, t, err := r.make()
	if err != nil {
		return err
	}
	return t.Close(ctx)
}

// Start makes a service and starts it (see [RPCService.Start]). Where it does not start, its transport is closed. A service
// that works is not started again; an earlier life that has not ended is waited for, a minute at most.
func (r *Renewing) Start(ctx context.Context) error {
	if err := r.turn.take(ctx); err != nil {
		return fmt.Errorf("rpcservice: start %s: %w", r.name, err)
	}
	defer r.turn.pass()
	if l := r.current(); l != nil {
		if l.works() {
			return nil
		}
		if err := inTime(ctx, l.end); err != nil {
			return fmt.Errorf("rpcservice: start %s: its earlier life: %w", r.name, err)
		}
	}
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	r.allowAbort(abort)
	defer r.allowAbort(nil)
	return r.begin(ctx)
}

func (r *Renewing) begin(ctx context.Context) error {
	svc, t, err := r.make()
	if err != nil {
		return err
	}
	l := &renewed{RPCService: svc, transport: t}
	r.mu.Lock()
	r.life = l
	r.mu.Unlock()
	if err := l.Start(ctx); err != nil {
		l.ended = true
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return errors.Join(err, t.Close(closing))
	}
	return nil
}

// allowAbort tells Stop how to end a Start.
func (r *Renewing) allowAbort(abort context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abort = abort
}

// Stop ends the service (see [RPCService.Stop]) and closes its transport, also where ctx ends before everything that runs
// has. A Start that has not returned is made to fail.
func (r *Renewing) Stop(ctx context.Context) error {
	r.mu.Lock()
	if r.abort != nil {
		r.abort(ErrStopped)
	}
	r.mu.Unlock()
	if err := r.turn.take(ctx); err != nil {
		return fmt.Errorf("rpcservice: stop %s: %w", r.name, err)
	}
	defer r.turn.pass()
	if l := r.current(); l != nil {
		return l.end(ctx)
	}
	return nil
}

// end can be called again where ctx has ended before everything that runs.
func (l *renewed) end(ctx context.Context) error {
	if l.ended {
		return nil
	}
	err := errors.Join(l.RPCService.Stop(ctx), l.transport.Close(ctx))
	l.ended = err == nil
	return err
}

// works tells whether the service was started and not stopped.
func (s *RPCService) works() bool {
	l := s.current()
	return l != nil && s.phaseOf(l) == working
}

// Wait returns when the service was stopped and nothing of it runs any more; before the first Start at once. It fails when
// ctx ends first.
func (r *Renewing) Wait(ctx context.Context) error {
	if l := r.current(); l != nil {
		return l.Wait(ctx)
	}
	return nil
}

// Reset tells the manager of the present life that the configuration has changed.
func (r *Renewing) Reset(ctx context.Context) error {
	if l := r.current(); l != nil && l.works() {
		return l.RPCService.Reset(ctx)
	}
	return nil
}

// Progress is [RPCService.Progress], over all lives: the first look at each counts, as do those in between.
func (r *Renewing) Progress() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.life
	if l == nil || !l.works() {
		r.watched = nil
		r.progress++
		return r.progress
	}
	now := l.Progress()
	if l != r.watched {
		r.watched, r.last = l, now-1
	}
	r.progress += now - r.last
	r.last = now
	return r.progress
}

// State prints what the service does; see [RPCService.State].
func (r *Renewing) State(w io.Writer) {
	if l := r.current(); l != nil {
		l.State(w)
		return
	}
	fmt.Fprintf(w, "service = %s\nphase = not started\n", r.name)
}

func (r *Renewing) current() *renewed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.life
}
