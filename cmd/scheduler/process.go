package main

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/report"
)

// process is what one process runs: its backdoor, if there is one, and the services of one pool or, where all are together,
// of all. It keeps why it did not start.
type process struct {
	sequence
	failure atomic.Pointer[error]
}

func (s *settings) newProcess(pools ...pool) *process {
	p := &process{sequence: sequence{s.door}}
	for _, pool := range pools {
		p.sequence = append(p.sequence, &shown{states: &s.states, name: pool.name, state: pool.state}, pool.service)
	}
	return p
}

// Start implements service.Service.
func (p *process) Start(ctx context.Context) error {
	err := p.sequence.Start(ctx)
	if err != nil {
		p.failure.Store(&err)
	}
	return err
}

// shown has the state of a service among those that reports and the backdoor of its process show, from before it starts
// until it has stopped: what hangs is to be seen.
type shown struct {
	states *report.State
	name   string
	state  func(io.Writer)

	mu   sync.Mutex
	hide func() // nil while it is not shown
}

var _ service.Service = (*shown)(nil)

// Start implements service.Service.
func (s *shown) Start(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hide == nil {
		s.hide = s.states.Register(s.name, s.state)
	}
	return nil
}

// Stop implements service.Service.
func (s *shown) Stop(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hide != nil {
		s.hide()
		s.hide = nil
	}
	return nil
}

// Wait implements service.Service.
func (s *shown) Wait(context.Context) error { return nil }

// Reset implements service.Service.
func (s *shown) Reset(context.Context) error { return nil }
