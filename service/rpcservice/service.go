package rpcservice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/periodic"
)

// ErrStopped is why Start fails when Stop comes before it has returned.
var ErrStopped = errors.New("rpcservice: stopped")

// RPCService runs a manager behind a topic. It is a Service of package service: its life is Start, Stop and Wait, and can
// then begin again with Start. Its methods are safe for concurrent use.
type RPCService struct {
	config  Config
	manager Manager
	server  *messaging.MessageHandlingServer
	reports *reports
	log     logrus.FieldLogger

	turn turn // of Start, Stop, Wait and Reset

	mu    sync.Mutex
	life  *life           // the latest; nil before the first Start
	tasks *periodic.Tasks // of the latest life; nil where there are none

	unwatched atomic.Uint64 // looks at Progress while there was nothing to see
}

// New makes a service of a manager on a transport, which it does not own. opts are choices about its RPC server: the
// executor and its size, when messages are acknowledged, serializers, who may call what. Nothing touches the network
// before Start.
//
// It fails with an error that names what is wrong with the configuration, and where [messaging.NewRPCServer] does.
func New(t *messaging.Transport, manager Manager, conf Config, opts ...messaging.ServerOption) (*RPCService, error) {
	if t == nil {
		return nil, errors.New("rpcservice: the transport is nil")
	}
	if manager == nil {
		return nil, errors.New("rpcservice: the manager is nil")
	}
	if err := conf.check(); err != nil {
		return nil, err
	}
	conf = conf.withDefaults()
	endpoints, err := endpointsOf(manager, conf)
	if err != nil {
		return nil, err
	}
	server, err := messaging.NewRPCServer(t, conf.target(), endpoints, opts...)
	if err != nil {
		return nil, fmt.Errorf("rpcservice: %w", err)
	}
	return &RPCService{
		config: conf, manager: manager, server: server, log: conf.Log, turn: newTurn(),
		reports: &reports{report: conf.ReportState, isWorking: manager.IsWorking, timeout: conf.ServiceDownTime, log: conf.Log},
	}, nil
}

// endpointsOf are those of a service in the order in which they are tried, which is nova's.
func endpointsOf(manager Manager, conf Config) ([]*messaging.Endpoint, error) {
	endpoints := append([]*messaging.Endpoint{manager.Endpoint(), BaseAPI(conf.Name, conf.BackdoorPort)}, manager.AdditionalEndpoints()...)
	if slices.Contains(endpoints, nil) {
		return nil, errors.New("rpcservice: an endpoint of the manager is nil")
	}
	return endpoints, nil
}

// Config is what the service goes by, with its defaults and with ServiceDownTime as it was raised.
func (s *RPCService) Config() Config { return s.config }

// Server is what receives the service's messages. The service starts and stops it.
func (s *RPCService) Server() *messaging.MessageHandlingServer { return s.server }

// Start makes the service work and returns when it does: see the package's documentation for the steps. When one fails,
// or panics, or ctx ends, those before it are undone, which takes a minute at most, and nothing of the service is left
// running. It fails with that step's error, and with [ErrStopped] where Stop came in between.
//
// ctx bounds the start alone; its values reach methods and tasks. A service that works is not started again. One whose
// earlier life has not ended, since Stop ran out of time, is waited for, a minute at most: a method that hangs for longer
// is cured by the end of the process, which is what a launcher makes of a start that fails.
func (s *RPCService) Start(ctx context.Context) error {
	if err := s.turn.take(ctx); err != nil {
		return fmt.Errorf("rpcservice: start %s: %w", s.config.Name, err)
	}
	defer s.turn.pass()
	if l := s.current(); l != nil {
		if s.phaseOf(l) == working {
			return nil
		}
		if err := inTime(ctx, func(ctx context.Context) error { return s.finish(ctx, l) }); err != nil {
			return fmt.Errorf("rpcservice: start %s: its earlier life: %w", s.config.Name, err)
		}
	}
	return s.begin(ctx)
}

// Stop ends the service, last step first. At once it takes no further message, makes no more reports, and ends the
// contexts of periodic tasks that run, which are there to be repeated. Then it waits for what runs, methods and tasks,
// and calls the manager's CleanupHost.
//
// When ctx ends first, so do the contexts of methods; CleanupHost is called all the same, and Stop fails. Wait goes on
// from there. Other errors are logged and keep nothing from being stopped. A Start that has not returned is made to fail.
// Stopping a service that does not work does nothing.
//
// An endpoint method must not call it, but in a goroutine: it would wait for itself.
func (s *RPCService) Stop(ctx context.Context) error {
	l := s.current()
	if l == nil {
		return nil
	}
	l.abort(ErrStopped)
	if err := s.turn.take(ctx); err != nil {
		return fmt.Errorf("rpcservice: stop %s: %w", s.config.Name, err)
	}
	defer s.turn.pass()
	if l = s.current(); s.phaseOf(l) == working {
		s.halt(ctx, l)
	}
	return s.finish(ctx, l)
}

// Wait returns when the service was stopped and nothing of it runs any more; before the first Start at once. It fails when
// ctx ends first, and can be called again.
func (s *RPCService) Wait(ctx context.Context) error {
	l := s.current()
	if l == nil || s.phaseOf(l) == ended {
		return nil
	}
	select {
	case <-l.stopped:
	case <-ctx.Done():
		return fmt.Errorf("rpcservice: wait for %s to be stopped: %w", s.config.Name, context.Cause(ctx))
	}
	if err := s.turn.take(ctx); err != nil {
		return fmt.Errorf("rpcservice: wait for %s: %w", s.config.Name, err)
	}
	defer s.turn.pass()
	return s.finish(ctx, l)
}

// Reset tells the manager that the configuration has changed, also before Start. What runs is not disturbed, and what a
// [Config] holds does not change. It waits for a Start or a Stop that is under way.
func (s *RPCService) Reset(ctx context.Context) error {
	if err := s.turn.take(ctx); err != nil {
		return fmt.Errorf("rpcservice: reset %s: %w", s.config.Name, err)
	}
	defer s.turn.pass()
	s.server.Reset()
	if err := s.manager.Reset(ctx); err != nil {
		return fmt.Errorf("rpcservice: reset %s: %w", s.config.Name, err)
	}
	return nil
}

// Progress is a number that grows as long as the service does what it should, for a watchdog such as that of systemd:
//
//	systemd.NewWatchdog(systemd.WatchdogConfig{Progress: systemd.Moving(svc.Progress), ...})
//
// While the service works it is its consume loop's that counts, once a second at least: see
// [messaging.MessageHandlingServer.Progress] for what makes that stand still. While the service starts, drains or is not
// started, every look counts: a launcher bounds how long a stop takes, and a service manager how long a start does.
func (s *RPCService) Progress() uint64 {
	if l := s.current(); l == nil || s.phaseOf(l) != working {
		s.unwatched.Add(1)
	}
	return s.server.Progress() + s.unwatched.Load()
}
