package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/cmd/scheduler/internal/api"
	"github.com/goslo/goslo/cmd/scheduler/internal/rpcapi"
	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

const apiHelp = `Serve HTTP for the schedulers on the bus until a signal comes.

POST /v1/select_destinations asks one for hosts, GET /v1/hosts for what it knows,
POST /v1/hosts/{host}/report tells all what a host has; GET /healthz says whether
the bus is there, GET /v1/openapi.json describes it all.

Prints READY on standard output once all workers serve. Logs go to standard error.` + signalHelp

var apiFlags = append([]flag{
	{name: "listen", option: "scheduler-api-listen", usage: "`address` to serve on: host:port or the path of a unix socket (default 127.0.0.1:8780)"},
	{name: "workers", option: "scheduler-api-workers", usage: "`number` of processes that serve (default 1)"},
}, busFlags...)

func (p *program) newAPI() *cobra.Command {
	return p.daemonCommand(daemon{
		use: "api --transport-url URL", short: "Serve HTTP for the schedulers", long: apiHelp, logs: "scheduler-api",
		options: apiOptions(), flags: apiFlags,
		run: func(s *settings) error {
			if err := errors.Join(s.checkBus(), s.checkWorkers(apiWorkersOption)); err != nil {
				return firstOf(err)
			}
			front, err := s.newFront()
			if err != nil {
				return err
			}
			defer front.Close()
			pool, err := s.fronts(front)
			if err != nil {
				return err
			}
			return s.launch(p.signals, p.stdout, false, pool)
		},
	})
}

// front is the HTTP server, which outlives reloads with its socket; each life gives it a handler on a new transport.
type front struct {
	*wsgi.Server
	listener *listen.Listener
	handler  atomic.Pointer[http.Handler]
}

// ServeHTTP hands a request to the present handler.
func (f *front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	(*f.handler.Load()).ServeHTTP(w, req)
}

// Close closes the socket.
func (f *front) Close() error { return f.listener.Close() }

// newFront opens the socket, in a worker that of its parent.
func (s *settings) newFront() (*front, error) {
	listener, err := s.openListener(listenOption.Get(s.Config))
	if err != nil {
		return nil, s.wrongOption("listen", listenOption, err)
	}
	f := &front{listener: listener}
	conf := wsgi.DefaultConfig()
	conf.PoolSize = poolSizeOption.Get(s.Config)
	conf.MaxHeaderLine = headerLineOption.Get(s.Config)
	conf.KeepAlive = keepAliveOption.Get(s.Config)
	conf.ClientSocketTimeout = clientTimeoutOption.Get(s.Config)
	conf.LogFormat = logFormatOption.Get(s.Config)
	conf.Log = s.log
	if f.Server, err = wsgi.NewServer("api", listener, f, conf); err != nil {
		return nil, errors.Join(&usageError{err: err}, listener.Close())
	}
	return f, nil
}

func (s *settings) openListener(address string) (*listen.Listener, error) {
	if strings.HasPrefix(address, "/") {
		return listen.Unix("api", address, socketMode)
	}
	return listen.TCP("api", address, listen.WithKeepIdle(keepIdleOption.Get(s.Config)))
}

// socketMode lets the group of the service connect, as that of a proxy before it.
const socketMode = 0o660

// fronts is the pool that serves by front.
func (s *settings) fronts(f *front) (pool, error) {
	b := &busService{name: "api", log: s.log, make: func() (life, error) {
		t, err := s.openBus()
		if err != nil {
			return life{}, err
		}
		schedulers, err := rpcapi.NewScheduler(t, topicOption.Get(s.Config))
		if err != nil {
			return life{}, errors.Join(err, t.Close(context.Background()))
		}
		handler := api.NewHandler(schedulers, s.log)
		return life{&frontPart{f, handler}, t.Close}, nil
	}}
	return pool{"api", apiWorkersOption.Get(s.Config), b}, b.check()
}

// frontPart is one life of a front.
type frontPart struct {
	front   *front
	handler http.Handler
}

func (p *frontPart) Start(ctx context.Context) error {
	p.front.handler.Store(&p.handler)
	return p.front.Start(ctx)
}

func (p *frontPart) Stop(ctx context.Context) error {
	return errors.Join(p.front.Stop(ctx), p.front.Wait(ctx))
}

// Progress is none to be watched: each connection has a goroutine of its own.
func (p *frontPart) Progress() uint64 { return 0 }
